"""The camera head: orthographic until learned, alike in the mirror, and no matter to weights that are without."""

from pathlib import Path

import pytest
import torch

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.models.build import Network, build
from ncpifu_cli.models.checkpoint import load_weights, save_weights
from ncpifu_cli.models.losses import camera_loss
from ncpifu_cli.stages.train_warm_start import warm_start


def network(*overrides: str, ablation: str = "full") -> Network:
    torch.manual_seed(0)
    return build(load(TrainConfig, "tiny", ["model.surface_depth=true", *overrides], ablation=ablation).model).eval()


@pytest.mark.parametrize("ablation", ["full", "pifu"])
def test_every_camera_is_orthographic_until_the_head_has_learned(ablation: str) -> None:
    model, image = network(ablation=ablation), torch.rand(2, 3, 64, 64) * 2 - 1
    assert torch.equal(model.see(image).camera, torch.zeros(2, 3))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    true = torch.tensor([[0.4, 0.02, 0.2], [0.0, 0.0, 0.0]])
    first = float(camera_loss(model.see(image).camera, true))
    for _ in range(60):
        optimizer.zero_grad()
        camera_loss(model.see(image).camera, true).backward()
        optimizer.step()
    assert float(camera_loss(model.see(image).camera, true)) < 0.05 * first


def test_a_photo_and_its_mirror_image_have_mirrored_cameras() -> None:
    model, image = network(), torch.rand(2, 3, 64, 64) * 2 - 1
    torch.nn.init.normal_(model.camera_head.read[-1].weight)
    with torch.no_grad():
        photo, mirrored = (model.encode(picture, both_ways=True).seen.camera for picture in (image, image.flip(-1)))
        one_way = model.see(image).camera
    assert one_way.abs().min() > 1e-4 and not torch.allclose(photo, one_way)
    assert torch.allclose(photo * torch.tensor([1, -1, 1]), mirrored, atol=1e-5)


def test_a_network_without_the_head_says_nothing_of_the_camera() -> None:
    model, image = network("model.camera=false"), torch.rand(1, 3, 64, 64)
    assert model.see(image).camera is None
    assert model.encode(image, both_ways=True).seen.camera is None


def test_weights_from_before_the_head_load_and_start_a_run_that_has_it(tmp_path: Path) -> None:
    config = load(TrainConfig, "tiny", ["model.surface_depth=true", "model.camera=false"]).model
    save_weights(tmp_path / "old.safetensors", build(config), config, {})
    loaded, _, _ = load_weights(tmp_path / "old.safetensors")
    assert loaded.camera_head is None
    start = warm_start(network(), tmp_path / "old.safetensors")
    assert start.fresh and all(name.startswith("camera_head.") for name in start.fresh)
    assert not start.unused
