import numpy as np
import pytest
import torch

from ncpifu_cli.data import matting
from ncpifu_cli.data.grabcut import guided_upsample
from ncpifu_cli.data.matting_net import MattingNet, load_matting, save_matting
from ncpifu_cli.errors import NcpifuError
from tests.photo_fixtures import wall_photo


class Redness(torch.nn.Module):
    """Stands in for the network: what is red is a person. Keeps the sizes that it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image):
        self.seen.append(tuple(image.shape))
        return 20 * (image[:, :1] - image[:, 1:2] - 0.5)


@pytest.fixture
def redness(monkeypatch, tmp_path):
    net = Redness()
    (tmp_path / "stand-in").touch()
    monkeypatch.setenv("NCPIFU_MATTING", str(tmp_path / "stand-in"))
    monkeypatch.setattr(matting, "_network", lambda *args: net)
    return net


def red_box(height=300, width=400, box=(50, 100, 60, 160)):
    rgb = np.full((height, width, 3), 90, np.uint8)
    x, y, w, h = box
    rgb[y : y + h, x : x + w] = (250, 30, 30)
    return rgb, rgb[..., 0] > 128


def test_the_whole_is_looked_at_first_and_then_the_person_at_sizes_the_network_takes(redness):
    rgb, truth = red_box()
    estimate = matting.estimate_mask(rgb)
    assert estimate.alpha.shape == truth.shape and estimate.alpha.dtype == np.float32
    assert ((estimate.alpha > 0.5) == truth).mean() > 0.995
    assert estimate.confidence > 0.9
    sizes = [shape[2:] for shape in redness.seen]
    assert all(side % 32 == 0 for size in sizes for side in size)
    scales = len(matting.LOOK_SCALES)
    whole, person = sizes[:scales], sizes[scales:]
    assert len(person) == scales
    assert all(width > height for height, width in whole) and all(height > width for height, width in person)  # a wide photo, a tall person
    for (height, width), scale in zip(whole, matting.LOOK_SCALES, strict=True):
        assert 0.6 < height * width / (scale * matting.LOOK_AREA_PX) < 1.6


@pytest.mark.parametrize("shape", [(2000, 60), (40, 1200), (33, 33)])
def test_any_aspect_and_size_is_answered_on_its_own_grid(redness, shape):
    rgb = np.full((*shape, 3), 90, np.uint8)
    rgb[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = (250, 30, 30)
    estimate = matting.estimate_mask(rgb)
    assert estimate.alpha.shape == shape and 0 <= estimate.alpha.min() and estimate.alpha.max() <= 1


def test_nobody_is_no_confidence(redness):
    estimate = matting.estimate_mask(np.full((100, 80, 3), 90, np.uint8))
    assert estimate.alpha.max() < 0.5 and estimate.confidence == 0


def test_a_box_limits_the_answer(redness):
    rgb, left = red_box()
    rgb[100:260, 300:360] = (250, 30, 30)
    alpha = matting.estimate_mask(rgb, box=(40, 90, 80, 180)).alpha
    assert ((alpha > 0.5) == left).mean() > 0.995 and alpha[:, 200:].max() == 0


def test_expected_iou_is_the_iou_that_calibrated_chances_promise():
    rng = np.random.default_rng(0)
    chance = np.clip(rng.normal(0.5, 0.4, (200, 200)), 0, 1).astype(np.float32)
    truth, mask = rng.random(chance.shape) < chance, chance > 0.5
    assert matting.expected_iou(chance, mask) == pytest.approx((mask & truth).sum() / (mask | truth).sum(), abs=0.01)
    assert matting.expected_iou(chance, np.zeros_like(mask)) == 0


def test_upsampling_moves_a_coarse_edge_to_that_of_the_photo():
    rgb, truth = wall_photo(300, 400, noise=0)
    coarse = truth[::8, ::8].astype(np.float32)
    fine = guided_upsample(coarse, rgb)
    nearest = np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:400, :300] > 0.5
    wrong, before = ((fine > 0.5) ^ truth).sum(), (nearest ^ truth).sum()
    assert wrong < 0.75 * before


def test_weights_come_back_as_they_were_written_to_half_precision(tmp_path):
    net = MattingNet().eval()
    save_matting(tmp_path / "m.safetensors", net, {"step": 1})
    assert (tmp_path / "m.safetensors").stat().st_size < 10e6
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(load_matting(tmp_path / "m.safetensors")(image), net(image), atol=0.05, rtol=0.05)


def test_damaged_and_foreign_weights_are_named(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    monkeypatch.setenv("NCPIFU_MATTING", "none")
    assert matting.find_matting_weights() is None
    with pytest.raises(NcpifuError, match="not installed"):
        matting.estimate_mask(np.zeros((50, 50, 3), np.uint8))
    monkeypatch.setenv("NCPIFU_MATTING", str(path))
    with pytest.raises(NcpifuError, match="NCPIFU_MATTING"):
        matting.find_matting_weights()
    path.write_bytes(b"x" * 100)
    assert matting.find_matting_weights() == path
    with pytest.raises(NcpifuError, match=r"m\.safetensors"):
        matting.estimate_mask(np.zeros((50, 50, 3), np.uint8))
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(NcpifuError, match="no ncpifu-matting-1 weights"):
        matting.estimate_mask(np.zeros((50, 50, 3), np.uint8))


def test_the_released_network_finds_a_drawn_person():
    """It has never seen a drawing, so this asks for little; docs/matting.md has the measurements."""
    assert matting.find_matting_weights() is not None
    rgb, truth = wall_photo()
    found = matting.estimate_mask(rgb).alpha > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.7
