"""Drawn heads: stored without loss, turned with the picture, lit from where the light comes."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data import head_pictures
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.head_pictures import VIEW_PX, HeadView, draw_head, draw_picture, read_views, received, save_views
from ncpifu_cli.data.network_input import HEAD_CENTRE_NDC, HEAD_HALF_NDC, HEAD_PX
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M

RADIUS_M = 0.12
ALL = (slice(0, VIEW_PX), slice(0, VIEW_PX))
BACKDROPS = Backdrops(families=("noise",))


def ball(rng: np.random.Generator) -> HeadView:
    """A head like a ball, its crown at 1.8 m, its face red."""
    mesh = trimesh.creation.icosphere(subdivisions=5, radius=RADIUS_M)
    colors = np.where(mesh.vertices[:, 2:] > 0.05, np.array([200, 40, 40]), np.array([120, 120, 120])).astype(np.uint8)
    crown = np.array([0.3, 1.8, -0.2])
    return draw_head(mesh.vertices + crown - (0, RADIUS_M, 0), np.asarray(mesh.faces), colors, crown, rng)


@pytest.fixture
def straight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera from the front, and no fault of a photograph."""
    monkeypatch.setattr(head_pictures, "ANYWHERE", 0.0)
    monkeypatch.setattr(head_pictures, "WIDEST_YAW_DEG", 0)
    monkeypatch.setattr(head_pictures, "PITCH_DEG", 0)


def test_a_head_is_drawn_in_scale_with_its_crown_in_its_place(straight: None) -> None:
    view = ball(np.random.default_rng(0))
    known = ~np.isnan(view.depth)
    rows, columns = np.nonzero(known)
    pixel_m = 2 * HEAD_HALF_NDC * HALF_EXTENT_M / HEAD_PX
    assert np.ptp(rows) * pixel_m == pytest.approx(2 * RADIUS_M, abs=0.004)
    assert columns.mean() == pytest.approx((VIEW_PX - 1) / 2, abs=0.6)
    assert rows.min() == pytest.approx(VIEW_PX / 2 - HEAD_CENTRE_NDC * HALF_EXTENT_M / pixel_m, abs=1.5)
    assert view.normals[rows.min() + 2, VIEW_PX // 2, 1] > 0.9 and view.albedo[rows.min() + 2, VIEW_PX // 2].tolist() == [120, 120, 120]
    middle = (rows.min() + rows.max()) // 2
    assert view.albedo[middle, VIEW_PX // 2].tolist() == [200, 40, 40]
    assert view.normals[middle, VIEW_PX // 2, 2] > 0.99
    assert not view.normals[~known].any()


def test_cameras_look_from_all_sides_and_mostly_from_the_front() -> None:
    rng, sides = np.random.default_rng(1), []
    for view in (ball(rng) for _ in range(150)):
        red = np.argwhere((view.albedo[..., 0] > 150) & (view.albedo[..., 1] < 60))
        sides.append(np.nan if len(red) < 50 else red[:, 1].mean() / VIEW_PX - 0.5)
    assert 0.01 < np.isnan(sides).mean() < 0.2  # from behind
    assert np.nanmin(sides) < -0.12 and np.nanmax(sides) > 0.12 and abs(np.nanmedian(sides)) < 0.05


def test_views_survive_the_disk_and_broken_files_are_named(tmp_path: Path) -> None:
    views = [ball(np.random.default_rng(seed)) for seed in (1, 2)]
    save_views(tmp_path / "a.npz", views)
    for one, again in zip(views, read_views(tmp_path / "a.npz"), strict=True):
        assert np.array_equal(one.albedo, again.albedo) and np.array_equal(one.normals, again.normals)
        assert np.array_equal(one.depth, again.depth, equal_nan=True)
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:2000])
    old = dict(np.load(tmp_path / "a.npz"))
    np.savez(tmp_path / "d.npz", **{**old, "view_ndc": np.array(0.3)})
    for broken in ("b.npz", "c.npz", "d.npz"):
        with pytest.raises(NcpifuError, match=broken):
            read_views(tmp_path / broken)


def test_pictures_are_repeatable_and_their_normals_move_with_them() -> None:
    view = ball(np.random.default_rng(3))
    for seed in range(5):
        one, two = (draw_picture(view, np.random.default_rng(seed), BACKDROPS) for _ in range(2))
        assert np.array_equal(one.image, two.image) and np.array_equal(one.normals, two.normals)
        assert one.image.shape == (4, HEAD_PX, HEAD_PX) and one.normals.shape == (6, HEAD_PX, HEAD_PX)
        known = one.normals[2] > 0.3
        assert np.allclose(np.linalg.norm(one.normals[:3, known], axis=0), 1, atol=1e-3) and not one.normals[3:].any()
        rows, columns = np.nonzero(known)
        pixel_m = 2 * HEAD_HALF_NDC * HALF_EXTENT_M / HEAD_PX
        for axis, at in ((0, columns), (1, -rows)):  # a ball: normals grow linearly to the picture's right and top, however it was turned
            growth = np.polyfit(at, one.normals[axis, known], 1)[0] * RADIUS_M / pixel_m
            assert 0.75 < growth < 1.35


def test_light_comes_past_nothing_and_less_reaches_creases() -> None:
    size = VIEW_PX
    columns = np.mgrid[:size, :size][1]
    slot = np.abs(columns - size // 2) < size // 20  # a deep slot in a wall that faces the camera
    depth = np.where(slot, -0.6, 0.0).astype(np.float32)
    normals = np.zeros((3, size, size), np.float32)
    normals[2] = 1
    lit = np.mean([received(depth, normals, ALL, np.random.default_rng(seed)).mean(axis=2) for seed in range(8)], axis=0)
    inner = slice(size // 4, 3 * size // 4)
    assert lit[inner][slot[inner]].mean() < 0.7 * lit[inner][~slot[inner]].mean()
    assert lit.mean() == pytest.approx(1, abs=0.02)
    flat = received(np.zeros_like(depth), normals, ALL, np.random.default_rng(0))
    assert flat[inner, inner].std(axis=(0, 1)).max() < 0.05


def test_pictures_without_placement_show_the_middle_of_the_view(straight: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_pictures, "PHOTO", AugmentConfig(**dict.fromkeys(("scale", "shift_ndc", "roll_deg", "stretch", "mask", "color", "jpeg"), 0)))
    view = ball(np.random.default_rng(0))
    picture = draw_picture(view, np.random.default_rng(1), BACKDROPS)
    inner = slice((VIEW_PX - HEAD_PX) // 2, (VIEW_PX + HEAD_PX) // 2)
    assert np.array_equal(picture.image[3] > 0.5, ~np.isnan(view.depth)[inner, inner])
    known = picture.normals[2] > 0
    assert np.allclose(picture.normals[:3, known].T, view.normals[inner, inner][known], atol=2e-3)
