"""Colours of the other side: what is learnt, what is answered, and how the two are put together."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data import back_pictures, backs
from ncpifu_cli.data.back_net import BackNet, load_back, save_back
from ncpifu_cli.data.back_pictures import BACK_PX, draw_pictures, drawn_sides, lit_as
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.light import GAMMA, white
from ncpifu_cli.data.opposite_views import find_opposite_views
from ncpifu_cli.errors import NcpifuError
from tests.normal_fixtures import SIZE, hump, write_hump


class LeftHalf(torch.nn.Module):
    """Stands in for the network: in its picture's left half all of the photo, in the right one red alone; says what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append(image)
        own = image.new_tensor([1.0, -1.0, -1.0])[:, None, None].expand(len(image), 3, *image.shape[2:])
        share = (torch.arange(image.shape[3]) < image.shape[3] // 2).float().expand(len(image), 1, *image.shape[2:])
        return torch.cat([share, own], 1)


def test_the_other_side_is_a_mixture_and_the_mean_of_picture_and_mirror_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = LeftHalf()
    (tmp_path / "stand-in").touch()
    monkeypatch.setattr(backs, "_network", lambda *args: net)
    picture = np.full((512, 512, 3), (20, 100, 180), np.uint8)
    coverage = np.zeros((128, 128), np.float32)
    coverage[20:110, 50:80] = 1
    answer = backs.other_side(tmp_path / "stand-in", picture, coverage)
    assert answer.shape == picture.shape and net.seen[0].shape == (2, 4, BACK_PX, BACK_PX)
    assert not net.seen[0][:, :3, :30].any()  # beside the person nothing is shown
    inner = answer[200:330, 252:268].astype(int)  # well within the outline
    half = (0.5 - backs.LEAST) / (1 - backs.LEAST)  # each half is the photo once, once red
    assert np.abs(inner - (half * np.array([20, 100, 180]) + (1 - half) * np.array([255, 0, 0]))).max() <= 2


def test_both_sides_meet_at_the_outline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand-in").touch()
    monkeypatch.setattr(backs, "_network", lambda *args: LeftHalf())
    picture = np.full((512, 512, 3), (20, 100, 180), np.uint8)
    coverage = np.zeros((128, 128), np.float32)
    coverage[20:110, 50:80] = 1
    off = np.abs(backs.other_side(tmp_path / "stand-in", picture, coverage).astype(int) - picture)[260].max(axis=1)
    assert off[200:203].max() < 0.6 * off[240:280].min()  # columns of the outline, and of the middle


def test_light_at_the_outline_does_not_go_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dark person with a bright line around them: what is behind meets the dark colour further inside."""
    (tmp_path / "stand-in").touch()
    monkeypatch.setattr(backs, "_network", lambda *args: LeftHalf())
    picture, coverage = np.full((512, 512, 3), 250, np.uint8), np.zeros((512, 512), np.float32)
    coverage[80:440, 200:320] = 1
    picture[82:438, 202:318] = 30
    answer = backs.other_side(tmp_path / "stand-in", picture, coverage).astype(int)
    assert answer[100:420, 200:203, 1].max() < 110 and answer[100:420, 317:320, 1].max() < 110  # the stand-in's own colour has no green; without it 185


def test_a_photo_without_colours_has_a_back_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand-in").touch()
    monkeypatch.setattr(backs, "_network", lambda *args: LeftHalf())
    coverage = np.zeros((128, 128), np.float32)
    coverage[20:110, 50:80] = 1
    for picture, coloured in ((np.full((512, 512, 3), 100, np.uint8), False), (np.full((512, 512, 3), (90, 100, 100), np.uint8), True)):
        answer = backs.other_side(tmp_path / "stand-in", picture, coverage)
        assert (np.ptp(answer, axis=2).max() > 40) == coloured


def test_weights_survive_a_round_trip_and_diverged_ones_are_refused(tmp_path: Path) -> None:
    net = BackNet().eval()
    file = save_and_name(tmp_path, net)
    again, image = load_back(file), torch.rand(1, 4, 64, 32)
    with torch.inference_mode():
        assert torch.allclose(net(image), again(image), atol=0.02)
        assert net(image).shape == (1, 4, 64, 32)
    net.up[0][0][1].running_var.fill_(1e6)  # type: ignore[index]
    before = file.read_bytes()
    with pytest.raises(NcpifuError, match="diverged"):
        save_back(file, net, {})
    assert file.read_bytes() == before
    holed = {name: value.half() if value.is_floating_point() else value for name, value in BackNet().state_dict().items()}
    holed["answer.bias"][0] = float("nan")
    save_file(holed, tmp_path / "holed.safetensors", metadata={"format": "ncpifu-back-1"})
    with pytest.raises(NcpifuError, match="numbers that are none"):
        load_back(tmp_path / "holed.safetensors")
    with pytest.raises(NcpifuError, match="holds no ncpifu-back-1 weights"):
        load_back(Path(__file__).resolve().parents[2] / "weights" / "normals.safetensors")


def save_and_name(folder: Path, net: BackNet) -> Path:
    save_back(folder / "back.safetensors", net, {"step": 1})
    return folder / "back.safetensors"


def test_a_named_file_wins_and_none_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCPIFU_BACK", "none")
    assert backs.find_back_weights() is None
    (tmp_path / "mine").touch()
    monkeypatch.setenv("NCPIFU_BACK", str(tmp_path / "mine"))
    assert backs.find_back_weights() == tmp_path / "mine"


def test_light_is_taken_off_both_sides_and_the_back_is_mirrored(tmp_path: Path) -> None:
    """The half ball of one colour under half of the white light, its back darker on the picture's left from there."""
    root = write_hump(tmp_path)
    views = next(views for views in find_opposite_views(root, size_px=SIZE) if views.front.yaw_deg == 0)
    mask, _ = hump(SIZE)
    half = 0.5 ** (1 / GAMMA)
    front = np.full((SIZE, SIZE, 3), 100 * half)
    back = np.full((SIZE, SIZE, 3), 60.0)
    back[:, : SIZE // 2] = 30
    for view, picture in ((views.front, front), (views.back, back)):
        cv2.imwrite(str(views.folder / view.rgb), (picture * mask[..., None]).astype(np.uint8))
    darker = views.front.__class__(**{**views.front.__dict__, "light": (0.5 * white()).tolist()})
    drawn, albedo, behind, cover = drawn_sides(views.__class__(views.folder, darker, views.back))
    inside = cover > 0.999
    assert np.abs(drawn[inside] - 100 * half).max() < 2
    assert np.abs(albedo[inside] - 100).max() < 3
    left = inside & (np.arange(BACK_PX) < BACK_PX // 2 - 4)
    right = inside & (np.arange(BACK_PX) > BACK_PX // 2 + 4)
    assert np.abs(behind[left] - 60).max() < 2 and np.abs(behind[right] - 30).max() < 2


def test_the_other_side_is_lit_as_the_photo() -> None:
    rng = np.random.default_rng(0)
    albedo, other = (rng.uniform(40, 120, (BACK_PX, BACK_PX, 3)).astype(np.float32) for _ in range(2))
    seen = np.zeros((BACK_PX, BACK_PX), bool)
    seen[60:160, 60:160] = True
    photo = np.where(seen[..., None], 0.8 * albedo + (20, 0, -10), 0).astype(np.float32)
    error = np.abs(lit_as(photo, albedo, seen, other, rng) - (0.8 * other + (20, 0, -10)))
    assert error.mean() < 4 and error.mean() < 0.3 * np.abs(other - (0.8 * other + (20, 0, -10))).mean()  # a little is held back


def test_what_is_printed_in_front_is_neither_learnt_behind_nor_taken_for_light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = find_opposite_views(write_hump(tmp_path), size_px=SIZE)[0]
    plain = AugmentConfig(flip=False, scale=0, shift_ndc=0, roll_deg=0, stretch=0, cut=0, prints=1, hue_turn=0, color=0, blur_px=0, jpeg=0, noise=0, mask=0)

    def red(rng: np.random.Generator, rgb: np.ndarray, cover: np.ndarray, backdrops: Backdrops) -> tuple[np.ndarray, np.ndarray]:
        where = (cover > 0.5) & (np.arange(BACK_PX)[:, None] > BACK_PX // 2)
        return np.where(where[..., None], np.float32([255, 0, 0]), rgb), where

    backs_of = []
    for paint in (red, lambda rng, rgb, cover, backdrops: (rgb, np.zeros(cover.shape, bool))):
        monkeypatch.setattr(back_pictures, "printed", paint)
        monkeypatch.setattr(back_pictures, "PHOTO", plain)
        backs_of.append(draw_pictures(views, 1, np.random.default_rng(1), Backdrops(families=("noise",)))[0])
    printed, bare = backs_of
    assert np.abs(printed.image[0] - bare.image[0]).max() > 0.5
    assert np.abs(printed.back[:3] - bare.back[:3]).max() < 0.15  # the light is told from fewer pixels


def test_pictures_know_where_the_head_is(tmp_path: Path) -> None:
    views = find_opposite_views(write_hump(tmp_path), size_px=SIZE)[0]
    for picture in draw_pictures(views, 3, np.random.default_rng(1), Backdrops(families=("noise",))):
        known, head = picture.back[3:] > 0
        assert picture.image.shape == (4, BACK_PX, BACK_PX) and known.any() and head.any()
        assert (known | ~head).all() and head.sum() < 0.3 * known.sum()
        assert np.flatnonzero(head.any(axis=1)).max() < np.flatnonzero(known.any(axis=1)).mean()
