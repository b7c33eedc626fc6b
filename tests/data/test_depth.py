"""Depth maps: both surfaces of a ball by formula, the file's coding, and the way through augmentation."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from ncpifu_cli.data.augment import Placement
from ncpifu_cli.data.depth import decode_depth, depth_maps, move_depth, spread_depth
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera, Similarity
from ncpifu_cli.geometry.mesh import Scan


def ball(radius_m: float, centre_m: tuple[float, float, float]) -> Scan:
    mesh = trimesh.creation.icosphere(4, radius_m)
    vertices = (mesh.vertices + centre_m).astype(np.float32)
    identity = Similarity(1.0, ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0, 0, 0))
    return Scan("ball", vertices, mesh.faces.astype(np.int32), np.zeros((len(vertices), 3), np.uint8), mesh.vertex_normals.astype(np.float32), identity)


def test_front_and_back_of_a_ball() -> None:
    depth = decode_depth(maps(ball(0.4, (0.1, 0.2, 0.3))), 128)
    rows, columns = np.mgrid[:128, :128] + 0.5
    x, y = (columns / 64 - 1) * HALF_EXTENT_M - 0.1, (1 - rows / 64) * HALF_EXTENT_M - 0.2
    inner = x**2 + y**2 < 0.38**2
    height = np.sqrt(np.where(inner, 0.4**2 - x**2 - y**2, 0))
    assert np.abs(depth[0] - (0.3 + height) / HALF_EXTENT_M)[inner].max() < 0.01
    assert np.abs(depth[1] - (0.3 - height) / HALF_EXTENT_M)[inner].max() < 0.01
    assert np.isnan(depth[:, x**2 + y**2 > 0.42**2]).all()


def test_the_front_is_towards_the_camera_at_every_yaw() -> None:
    scan = ball(0.2, (0.0, 0.0, 0.5))  # something on the face's side
    for yaw, z in ((0, 0.5), (180, -0.5)):
        depth = decode_depth(maps(scan, yaw), 64)
        assert np.nanmax(depth[0]) == pytest.approx((z + 0.2) / HALF_EXTENT_M, abs=0.01)
        assert np.nanmin(depth[1]) == pytest.approx((z - 0.2) / HALF_EXTENT_M, abs=0.01)


def maps(scan: Scan, yaw_deg: float = 0.0) -> np.ndarray:
    return depth_maps(scan, Camera(yaw_deg))


def two_balls(apart_m: float) -> Scan:
    """One of 20 cm radius behind another of 10 cm, `apart_m` between them."""
    far, near = ball(0.2, (0, 0, -0.2)), ball(0.1, (0, 0, 0.1 + apart_m))
    faces = np.concatenate([far.faces, near.faces + len(far.vertices)])
    vertices, normals = np.concatenate([far.vertices, near.vertices]), np.concatenate([far.normals, near.normals])
    return replace(far, vertices=vertices, faces=faces, normals=normals, colors=np.zeros((len(vertices), 3), np.uint8))


def test_the_gap_between_two_balls() -> None:
    depth = decode_depth(maps(two_balls(0.15)), 128)
    front, back, begin, end = depth
    rows, columns = np.mgrid[:128, :128] + 0.5
    square = ((columns / 64 - 1) ** 2 + (1 - rows / 64) ** 2) * HALF_EXTENT_M**2
    both = square < 0.09**2
    near, far = np.sqrt(np.where(both, 0.1**2 - square, 0)), np.sqrt(np.where(both, 0.2**2 - square, 0))
    assert np.abs(front - (0.25 + near) / HALF_EXTENT_M)[both].max() < 0.01
    assert np.abs(begin - (0.25 - near) / HALF_EXTENT_M)[both].max() < 0.01
    assert np.abs(end - (-0.2 + far) / HALF_EXTENT_M)[both].max() < 0.01
    assert np.abs(back - (-0.2 - far) / HALF_EXTENT_M)[both].max() < 0.01
    one = (square > 0.11**2) & (square < 0.19**2)
    assert np.abs(begin - end)[one].max() < 1e-4
    assert np.abs(begin - (front + back) / 2)[one].max() < 1e-4  # no gap: both half-way


def test_what_touches_or_overlaps_has_no_gap() -> None:
    for apart in (0.01, 0.0, -0.1):
        depth = decode_depth(maps(two_balls(apart)), 128)
        assert np.abs(depth[2] - depth[3])[63:65, 63:65].max() < 1e-4


def test_maps_of_two_layers_have_unknown_gaps() -> None:
    image = maps(ball(0.3, (0, 0, 0)))
    depth = decode_depth(image[:256], 128)
    assert depth.shape == (4, 128, 128)
    assert np.isnan(depth[2:]).all()
    assert np.array_equal(depth[:2], decode_depth(image, 128, 2), equal_nan=True)
    with pytest.raises(ValueError, match="3 layers"):
        decode_depth(image[:384], 128)


@pytest.mark.parametrize("flip", [False, True])
def test_a_moved_gap_is_never_inside_out(flip: bool) -> None:
    """At its border the gap's begin may jump while its end does not: both are read off by one rule."""
    depth = decode_depth(maps(two_balls(0.15)), 128)
    moved = move_depth(depth, Placement(scale=1.1, roll_rad=0.1, flip=flip).image, 128)
    front, back, begin, end = moved[:, np.isfinite(moved[0])]
    assert (begin >= end - 1e-6).all() and (front >= begin - 0.02).all() and (end >= back - 0.02).all()
    share, before = (begin - end > 0.05).mean(), (depth[2] - depth[3])[np.isfinite(depth[0])] > 0.05
    assert share == pytest.approx(before.mean(), rel=0.1)
    x = np.argwhere(moved[2] - moved[3] > 0.05)[:, 1].mean()
    assert x == pytest.approx(63.5, abs=1)


def test_flipped_maps_are_mirrored() -> None:
    image = maps(ball(0.3, (0.3, 0.0, 0.1)))
    layers = image.reshape(4, 128, 128)
    flipped = np.concatenate([Placement(flip=True).image(layer, 0) for layer in layers])
    assert np.array_equal(np.isnan(decode_depth(flipped, 128)), np.isnan(decode_depth(image, 128)[:, :, ::-1]))


def test_spread_continues_the_outline_by_so_many_pixels() -> None:
    depth = np.full((2, 9, 9), np.nan, np.float32)
    depth[0, 3:6, 3], depth[1, 3:6, 3] = 0.3, -0.1
    depth[0, 3:6, 4], depth[1, 3:6, 4] = 0.5, 0.2
    spread = spread_depth(depth, 2)
    assert np.array_equal(np.isfinite(spread[0, 4]), np.isin(np.arange(9), range(1, 7)))
    assert np.allclose(spread[:, 4, 1:4], [[0.3] * 3, [-0.1] * 3])  # of the nearest surface, both depths of the same pixel
    assert np.allclose(spread[:, 4, 4:7], [[0.5] * 3, [0.2] * 3])
    assert np.isnan(spread_depth(np.full((2, 4, 4), np.nan, np.float32), 2)).all()


@pytest.mark.parametrize("size", [64, 128])
def test_a_moved_plane_stays_a_plane_and_a_jump_a_jump(size: int) -> None:
    """Stairs in the target would be taught as the surface's slope (`loss.slope`)."""
    place = Placement(scale=1.1, roll_rad=np.radians(5))
    rows, columns = np.mgrid[:128, :128]
    far = np.broadcast_to(columns < 64, (2, 128, 128))
    depth = np.where(far, -0.5, 0.5).astype(np.float32) + np.float32(0.002) * rows
    depth[:, :20] = np.nan
    moved = move_depth(depth, place.image, size)
    inside = np.isfinite(moved)
    assert 0.5 < inside.mean() < 0.95
    steps = np.diff(moved[0], axis=0)
    steps = steps[np.isfinite(steps)]
    wanted = 0.002 * np.cos(np.radians(5)) / 1.1 * 128 / size
    level = np.abs(steps) < 0.1
    assert level.mean() > 0.95
    assert np.median(steps) == pytest.approx(wanted, rel=0.02)
    assert np.abs(steps[level] - wanted).mean() < 0.1 * wanted
    values = moved[inside]
    assert (np.abs(values) > 0.2).mean() > 0.99  # nothing stands between the two
