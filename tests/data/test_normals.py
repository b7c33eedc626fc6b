import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ncpifu_cli.data import normal_crops, normals
from ncpifu_cli.data.augment import Placement
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.framing import FramedView, PhotoCamera, head_centre, head_rows, head_top
from ncpifu_cli.data.normal_crops import draw_crops, whole_view
from ncpifu_cli.data.normal_net import NormalNet, NormalNets, load_normals, save_normals
from ncpifu_cli.data.opposite_views import find_opposite_views
from ncpifu_cli.errors import NcpifuError
from tests.normal_fixtures import RADIUS, SIZE, hump, write_hump


def test_the_back_is_the_front_of_the_opposite_view(tmp_path: Path) -> None:
    front_view, back_view = find_opposite_views(write_hump(tmp_path), size_px=SIZE)
    mask, round_side = hump()
    crop = whole_view(front_view)
    assert np.abs(crop.normals[:3].transpose(1, 2, 0) - round_side).max() < 0.01
    # From behind the flat side leans to the picture's left; seen through from the front that is the right, away from the camera.
    assert np.allclose(crop.normals[3:, mask], np.array([[0.6], [0.0], [-0.8]]), atol=0.01)
    turned = whole_view(back_view)
    assert np.allclose(turned.normals[:3, mask], np.array([[-0.6], [0.0], [0.8]]), atol=0.01)
    assert np.allclose(turned.normals[5, mask], -round_side[:, ::-1][mask][:, 2], atol=0.01)
    assert not crop.normals[:, ~mask].any()
    assert np.array_equal(crop.image[3] > 0.5, mask)


def test_views_are_paired_by_opposite_pitch(tmp_path: Path) -> None:
    write_hump(tmp_path, pitches=(-6, 6))
    assert len(find_opposite_views(tmp_path, size_px=SIZE)) == 4
    with pytest.raises(NcpifuError, match="96 px"):
        find_opposite_views(tmp_path)
    lonely = write_hump(tmp_path / "lonely", yaws=(0, 90))
    with pytest.raises(NcpifuError, match="no opposite views"):
        find_opposite_views(lonely, size_px=SIZE)


def test_held_out_people_are_kept_apart(tmp_path: Path) -> None:
    write_hump(write_hump(tmp_path, "train-000001"), "test-000001")
    assert {view.folder.name for view in find_opposite_views(tmp_path, size_px=SIZE)} == {"train-000001"}
    assert {view.folder.name for view in find_opposite_views(tmp_path, held_out=True, size_px=SIZE)} == {"test-000001"}


def test_crops_are_repeatable_and_turn_normals_with_the_picture(tmp_path: Path) -> None:
    view = find_opposite_views(write_hump(tmp_path), size_px=SIZE)[0]
    one, two = (draw_crops(view, 4, 64, np.random.default_rng(3), Backdrops(families=("noise",))) for _ in range(2))
    for crop, same in zip(one, two, strict=True):
        assert np.array_equal(crop.image, same.image)
        assert np.array_equal(crop.normals, same.normals)
    for seed in range(
        6
    ):  # flipped, turned and scaled: still a half ball about one centre, so the normals' x and y grow linearly to the picture's right and top
        crop = draw_crops(view, 1, 96, np.random.default_rng(seed), Backdrops(families=("noise",)))[0]
        known = (np.linalg.norm(crop.normals[:3], axis=0) > 0.5) & (crop.normals[2] > 0.3)
        rows, columns = np.nonzero(known)
        right, up = (np.polyfit(at, crop.normals[axis, known], 1)[0] for axis, at in ((0, columns), (1, -rows)))
        assert 0.7 < right * 96 / 2 * RADIUS < 1.4
        assert 0.7 < up * 96 / 2 * RADIUS < 1.4
        lengths = np.linalg.norm(crop.normals.reshape(2, 3, 96, 96), axis=1)
        assert np.allclose(lengths[lengths > 0], 1, atol=1e-4)


def test_the_surface_that_throws_shadows_moves_with_the_picture(tmp_path: Path) -> None:
    view = find_opposite_views(write_hump(tmp_path), size_px=SIZE)[0]
    mask = hump(256)[0].astype(np.float32)
    for placement in (Placement(), Placement(flip=True, scale=1.15, shift_ndc=(0.1, -0.05), roll_rad=0.3)):
        front = normal_crops._front_surface(view, placement)
        shown, there = placement.image(mask) > 0.5, np.isfinite(cv2.resize(front, (256, 256), interpolation=cv2.INTER_NEAREST))
        assert (shown & there).sum() > 0.96 * (shown | there).sum()
        assert np.nanmax(front) == pytest.approx(RADIUS * placement.scale, abs=0.01)
    without = normal_crops._front_surface(dataclasses.replace(view, front=dataclasses.replace(view.front, depth=None)), Placement())
    assert np.isnan(without).all()


def test_crops_of_heads_are_below_lifted_arms() -> None:
    cover = np.zeros((1024, 1024), np.float32)
    cover[280:960, 400:620] = cover[160:320, 470:560] = cover[60:480, 384:420] = cover[60:480, 600:640] = 1
    head = head_rows(cover)
    assert head.start == head_top(cover) == pytest.approx(160, abs=2)
    assert head.stop == pytest.approx(160 + 0.13 * 900, abs=3)
    assert head_rows(np.zeros((64, 64), np.float32)) == slice(0, 0)


def leaning(right: torch.Tensor | float, up: torch.Tensor | float) -> torch.Tensor:
    """A network's answer: front normals that lean so far to the picture's right and up, each (B, 1, H, W), and back normals that lean alike."""
    right, up = torch.broadcast_tensors(torch.as_tensor(right), torch.as_tensor(up))
    front = torch.nn.functional.normalize(torch.cat([right, up, torch.ones_like(right)], 1), dim=1)
    return torch.cat([front, front * torch.tensor([1.0, 1.0, -1.0])[:, None, None]], 1)


Estimate = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estimate:
    """`estimate_normals` with networks of one's own."""
    weights = tmp_path / "stand-in"
    weights.touch()

    def estimated(
        people: torch.nn.Module, image: np.ndarray, coverage: np.ndarray, heads: torch.nn.Module | None = None, head: FramedView | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        monkeypatch.setattr(normals, "_networks", lambda *args: NormalNets(people, heads))  # type: ignore[arg-type]
        return normals.estimate_normals(weights, image, coverage, head=head)

    return estimated


class Redness(torch.nn.Module):
    """Stands in for the network: normals that lean to the picture's right as much as it is red, more in its left half."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        across = image[:, :1] + torch.where(torch.arange(image.shape[3]) < image.shape[3] // 2, 0.2, -0.1)
        return leaning(across, 0.0)


def test_estimate_is_the_mean_of_the_picture_and_its_mirror_image(estimate: Estimate) -> None:
    coverage = np.zeros((1024, 1024), np.float32)
    coverage[160:880, 412:612] = 1
    image = np.full((1024, 1024, 3), 128, np.uint8)
    image[:, 512:, 0] = 230
    front, back = estimate(Redness(), image, coverage)
    assert front.shape == back.shape == (1024, 1024, 3)
    inside = coverage > 0
    assert np.allclose(np.linalg.norm(front[inside], axis=1), 1, atol=1e-4)
    assert not front[~inside].any()
    assert (front[inside, 2] > 0).all() and (back[inside, 2] < 0).all()

    def lean(red: float, itself: float) -> float:
        """Mean direction of the answer for the picture and, turned back, for its mirror image, in which the place is in the other half."""
        one, other = (np.array([x, 1]) / np.hypot(x, 1) for x in (red + itself, -(red + (-0.1 if itself > 0 else 0.2))))
        mean = one + other
        return float(mean[0] / np.hypot(*mean))

    assert front[520, 460, 0] == pytest.approx(lean(128 / 127.5 - 1, 0.2), abs=0.01)
    assert front[520, 560, 0] == pytest.approx(lean(230 / 127.5 - 1, -0.1), abs=0.01)


class Looks(torch.nn.Module):
    """Stands in for the network: from afar everything leans to the right; closely nothing does, but every other few rows lean upwards."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, int]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.shapes.append((image.shape[2], image.shape[3]))
        flat = torch.zeros_like(image[:, :1])
        if image.shape[2] < 600:  # the mirror image leans to the left
            return leaning(flat + torch.tensor([0.5, -0.5])[:, None, None, None], flat)
        return leaning(flat, flat + torch.where(torch.arange(image.shape[2]) % 8 < 4, 0.4, -0.4)[:, None])


def test_wide_shapes_are_seen_from_afar_and_narrow_ones_closely(estimate: Estimate) -> None:
    net = Looks()
    coverage = np.zeros((1024, 1024), np.float32)
    coverage[100:1000, 300:700] = 1
    front, back = estimate(net, np.full((1024, 1024, 3), 128, np.uint8), coverage)
    assert net.shapes == [(512, 256)] * 2 + [(960, 448)]  # front and back at half the size, then the front; no wider than the person
    inside = front[120:980, 320:680]
    assert inside[..., 0].mean() == pytest.approx(0.5 / np.hypot(0.5, 1), abs=0.03)
    assert np.abs(inside[..., 1].mean()) < 0.02 and inside[..., 1].std() > 0.3
    assert not back[coverage > 0][:, 1].any()


class Lean(torch.nn.Module):
    """Stands in for the network: normals of both sides lean so far upwards, and it keeps the pictures that it saw."""

    def __init__(self, up: float) -> None:
        super().__init__()
        self.up = up
        self.seen: list[torch.Tensor] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append(image)
        return leaning(0.0, torch.full_like(image[:, :1], self.up))


def steepest(up: float) -> np.ndarray:
    """(2,) y and z of a unit normal that leans so far upwards."""
    return np.array([up, 1]) / np.hypot(up, 1)


def standing() -> np.ndarray:
    """(1024, 1024) somebody with a head."""
    coverage = np.zeros((1024, 1024), np.float32)
    coverage[62:200, 460:560] = coverage[180:962, 400:620] = 1
    return coverage


def test_the_head_is_seen_by_its_own_network_and_fades_into_the_rest(estimate: Estimate) -> None:
    coverage, heads = standing(), Lean(0.5)
    image = np.zeros((1024, 1024, 3), np.uint8)
    image[100:140, 490:530] = 200  # a face
    front, back = estimate(Lean(0.1), image, coverage, heads)
    plain, plain_back = estimate(Lean(0.1), image, coverage)
    steepness = front[..., 1] / np.maximum(front[..., 2], 1e-6)
    mixed = normals.HEAD_SHARE * steepest(0.5) + (1 - normals.HEAD_SHARE) * steepest(0.1)
    assert steepness[90:180, 480:540] == pytest.approx(mixed[0] / mixed[1], abs=0.01)
    assert np.array_equal(front[300:], plain[300:]) and np.array_equal(back, plain_back)
    column = steepness[160:260, 510]
    assert (np.diff(column) < 1e-3).all() and np.abs(np.diff(column)).max() < 0.05  # no step where the head's picture ends
    centre = head_centre(coverage)
    assert centre == pytest.approx((2 * 510 / 1024 - 1, 1 - 2 * 62 / 1024 - 0.125), abs=2e-3)
    shown = heads.seen[0][0]
    rows, columns = np.nonzero((shown[0] > 0.4).numpy())  # where the face is in the head's picture, which spans 0.4 of NDC in 320 px
    assert shown.shape[1] <= 320
    assert np.ptp(columns) == pytest.approx(40 * 320 / 204.8 - 1, abs=2)
    assert np.ptp(rows) == pytest.approx(40 * 320 / 204.8 - 1, abs=2)


def test_a_closer_picture_of_the_head_is_used_where_there_is_one(estimate: Estimate) -> None:
    coverage, heads = standing(), Lean(0.5)
    fine = np.zeros((320, 320, 3), np.uint8)
    fine[::2] = 255  # stripes that the whole picture cannot show
    head = FramedView(fine, np.ones((320, 320), np.float32), PhotoCamera((0, 0), 1))
    front, _ = estimate(Lean(0.1), np.zeros((1024, 1024, 3), np.uint8), coverage, heads, head)
    assert torch.equal(heads.seen[0][0, 0, ::2], torch.ones_like(heads.seen[0][0, 0, ::2]))
    assert front[120, 510, 1] / front[120, 510, 2] > 0.35


def test_what_is_seen_too_differently_is_no_head(estimate: Estimate) -> None:
    image, coverage = np.zeros((1024, 1024, 3), np.uint8), standing()
    front, _ = estimate(Lean(-0.3), image, coverage, Lean(1.5))  # 73 degrees apart
    assert np.array_equal(front, estimate(Lean(-0.3), image, coverage)[0])


class Steepness(torch.nn.Module):
    """Stands in for the network: normals of both sides that lean upwards as much as the picture is red."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return leaning(0.0, image[:, :1])


def test_a_face_does_not_come_through_to_the_back(estimate: Estimate) -> None:
    coverage = np.zeros((1024, 1024), np.float32)
    coverage[62:962, 400:620] = 1
    plain = np.full((1024, 1024, 3), 128, np.uint8)
    featured = plain.copy()
    featured[100:110, 470:490, 0] = featured[100:110, 530:550, 0] = 250  # eyes
    (front, back), (front_featured, back_featured) = (estimate(Steepness(), image, coverage) for image in (plain, featured))
    through = np.abs(front_featured - front).max()
    assert through > 0.5 and np.abs(back_featured - back).max() < 0.4 * through


def test_folds_go_on_behind_where_what_is_in_front_does() -> None:
    """Pleats run down the front; the right half of the person goes on behind, the left, a face, does not."""
    coverage, goes_on = np.zeros((2, 1024, 1024), np.float32)
    coverage[100:900, 300:700] = 1
    goes_on[:, 500:] = 1
    across = 0.3 * np.sin(np.arange(1024, dtype=np.float32) / 6)
    person = coverage[..., None] > 0
    pleats = np.stack([across, 0 * across, np.sqrt(1 - across**2)], axis=1) * person
    behind = np.array([0, 0, -1], np.float32) * person
    told = normals.with_folds_behind(pleats, behind, coverage, goes_on)
    assert np.allclose(np.linalg.norm(told, axis=2), coverage, atol=1e-5)
    assert (told[..., 2] <= 0).all()
    pleated, plain = told[300:700, 560:670, 0], told[300:700, 330:440, 0]
    assert np.corrcoef(pleated.ravel(), pleats[300:700, 560:670, 0].ravel())[0, 1] > 0.98  # a ridge in front is a ridge behind
    assert pleated.std() > 0.7 * pleats[300:700, 560:670, 0].std()
    assert np.abs(plain).max() < 0.01 and np.abs(told[..., 0][:, 696:]).max() < 0.01  # nor at the outline
    sleeve = pleats.copy()
    sleeve[400:480, 500:690] = np.stack([0.9 * np.ones(190), np.zeros(190), np.full(190, 0.44)], axis=1)  # the steep side of an arm before the trunk
    assert np.abs(normals.with_folds_behind(sleeve, behind, coverage, goes_on)[400:480, 560:640, 0]).mean() < 0.35
    wide = np.broadcast_to(np.array([0.5, 0, np.sqrt(0.75)], np.float32), pleats.shape) * person
    assert np.abs(normals.with_folds_behind(wide, behind, coverage, goes_on)[200:800, 400:600, 0]).max() < 0.02  # a limb's turn is no fold


def test_nobody_has_no_normals(estimate: Estimate) -> None:
    image = np.zeros((1024, 1024, 3), np.uint8)
    assert not any(side.any() for side in estimate(Looks(), image, np.zeros((1024, 1024), np.float32)))
    with pytest.raises(ValueError, match="1024 px"):
        estimate(Looks(), image[:512, :512], np.zeros((512, 512), np.float32))


def test_half_of_the_close_crops_are_of_the_head(tmp_path: Path) -> None:
    view = find_opposite_views(write_hump(tmp_path), size_px=SIZE)[0]
    crops = [crop for seed in range(6) for crop in draw_crops(view, 4, 32, np.random.default_rng(seed), Backdrops(families=("noise",)), close=True)]
    upwards = [crop.normals[1][crop.normals[2] > 0].mean() > 0.3 for crop in crops]  # the upper part of the ball
    assert 0.25 < np.mean(upwards) < 0.85


def test_weights_survive_a_round_trip_and_others_are_refused(tmp_path: Path) -> None:
    net, heads = NormalNet().eval(), NormalNet().eval()
    image = torch.rand(1, 4, 64, 32)
    for nets in (NormalNets(net), NormalNets(net, heads)):
        save_normals(tmp_path / "normals.safetensors", nets, {"step": 1})
        again = load_normals(tmp_path / "normals.safetensors")
        with torch.inference_mode():
            assert torch.allclose(net(image), again.people(image), atol=0.05)
            assert (again.heads is None) == (nets.heads is None)
    assert again.heads is not None
    with torch.inference_mode():
        assert torch.allclose(heads(image), again.heads(image), atol=0.05)
        assert torch.allclose(net(image)[:, :3].square().sum(1), torch.ones(1, 64, 32), atol=1e-3)
    with pytest.raises(NcpifuError, match="holds no ncpifu-normals-2 weights"):
        load_normals(Path(__file__).resolve().parents[2] / "weights" / "matting.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(NcpifuError, match="of this version"):
        load_normals(tmp_path / "broken.safetensors")


def test_a_named_file_wins_over_the_released_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCPIFU_NORMALS", "none")
    assert normals.find_normal_weights() is None
    monkeypatch.setenv("NCPIFU_NORMALS", str(tmp_path / "mine"))
    with pytest.raises(NcpifuError, match="NCPIFU_NORMALS"):
        normals.find_normal_weights()
    (tmp_path / "mine").touch()
    assert normals.find_normal_weights() == tmp_path / "mine"
