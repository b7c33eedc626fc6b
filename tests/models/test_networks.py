"""Whole networks: every configuration, independence of points, ablations, losses, checkpoints."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ncpifu_cli.config.base import CONFIGS, load
from ncpifu_cli.config.model import ModelConfig
from ncpifu_cli.config.train import LossConfig, TrainConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.api import Prediction
from ncpifu_cli.models.blocks.depth_head import without_doubtful_gaps
from ncpifu_cli.models.blocks.groups import grouped_once, strided_groups
from ncpifu_cli.models.build import build, build_profile
from ncpifu_cli.models.checkpoint import load_weights, save_weights
from ncpifu_cli.models.ema import AveragedWeights
from ncpifu_cli.models.losses import depth_loss, gap_overlap, loss, scores, slope_loss
from ncpifu_cli.models.ncpifu import LiteralGroups, _around

ABLATIONS = sorted(path.stem for path in (CONFIGS / "ablations").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def sample(batch: int = 2, count: int = 100) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(batch, 3, 64, 64) * 2 - 1, torch.rand(batch, count, 3) * 1.8 - 0.9


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_trains_a_step(name: str) -> None:
    config = load(TrainConfig, "tiny", ablation=name)
    network = build(config.model).train()
    image, points = sample()
    features = network.encode(image)
    prediction = network.query(features, points)
    assert prediction.logits.shape == (2, 2, 100)  # both stacks are supervised
    terms = loss(prediction, points[..., 2] > 0, config.loss)
    terms["total"].backward()
    # The encoder's own heads learn from the trainer's terms, not from points.
    silent = [
        n for n, p in network.named_parameters() if not n.startswith(("depth_head", "camera_head")) and (p.grad is None or not torch.isfinite(p.grad).all())
    ]
    # Parts that an ablation leaves out of the computation may stay without gradient; the rest must learn.
    unused = {"no_integration": (), "pifu": (), "no_codebooks": ("gate",), "no_local_codebook": ("local_gate",), "no_global_codebook": ("global_gate",)}
    assert [n for n in silent if not any(word in n for word in unused.get(name, ()))] == []


@pytest.mark.parametrize("name", ["full", "literal_groups", "pifu"])
def test_outputs_queried_together_answer_as_each_alone(name: str) -> None:
    network = build(load(TrainConfig, "tiny", ablation=name).model)
    image, points = sample(batch=3)
    with torch.no_grad():
        together, alone = network.train().encode(image), network.eval().encode(image)
        answers, last = network.query(together, points).logits, network.query(alone, points).logits
        assert answers.shape == (2, 3, 100) and last.shape == (1, 3, 100)
        assert torch.allclose(answers[1], last[0], atol=1e-5)
        assert not torch.allclose(answers[0], last[0], atol=1e-3)
        first = network.query(network.eval().encode(image[:1]), points[:1]).logits
        assert torch.allclose(first[0, 0], answers[1, 0], atol=1e-5)


def test_ablations_differ_from_the_full_network() -> None:
    full = load(TrainConfig, "tiny").model
    same = [name for name in ABLATIONS if name != "full" and load(TrainConfig, "tiny", ablation=name).model == full]
    assert same == []


def test_paper_profile_has_the_papers_sizes() -> None:
    config = load(TrainConfig, "paper").model
    assert config.feature_channels == 321
    assert config.image_size_px == 512
    with torch.device("meta"):
        network = build(config)
        maps, stem = network.encoder(torch.zeros(1, 3, 512, 512))
    assert [tuple(m.shape) for m in maps] == [(1, 256, 128, 128)] * 4
    assert tuple(stem.shape) == (1, 64, 256, 256)


@pytest.mark.parametrize("name", ["full", "no_integration", "pifu"])
def test_points_are_independent_of_grouping(name: str) -> None:
    """Any chunk size, order or companions: the same occupancy to 1e-4 (method section 9)."""
    network = build(load(TrainConfig, "tiny", ablation=name).model).eval()
    image, points = sample(1, 500)
    with torch.inference_mode():
        features = network.encode(image)
        whole = network.query(features, points).occupancy[0]
        order = torch.randperm(500)
        chunked = torch.cat([network.query(features, points[:, part]).occupancy[0] for part in order.split(37)])
    assert (whole[order] - chunked).abs().max() < 1e-4


def test_photos_of_a_batch_do_not_touch() -> None:
    network = build_profile("tiny").eval()
    image, points = sample(3, 50)
    with torch.inference_mode():
        together = network.query(network.encode(image), points).occupancy
        alone = torch.cat([network.query(network.encode(image[i : i + 1]), points[i : i + 1]).occupancy for i in range(3)])
    assert (together - alone).abs().max() < 1e-4


def test_literal_groups_let_points_meet() -> None:
    """The paper-literal variant is what the default avoids: a point's answer depends on its companions."""
    network = build(load(TrainConfig, "tiny", ablation="literal_groups").model).eval()
    assert isinstance(network, LiteralGroups)
    image, points = sample(1, 64)
    moved = points.clone()
    moved[:, 32:] = torch.rand(1, 32, 3) * 1.8 - 0.9
    with torch.inference_mode():
        features = network.encode(image)
        first, second = network.query(features, points).logits[-1], network.query(features, moved).logits[-1]
    assert (first[:, :32] - second[:, :32]).abs().max() > 1e-6


def test_grouped_points_come_back_once_each_with_their_own_gradient() -> None:
    """Ten points in groups of four: two places are filled with points that are there already, and neither value nor gradient counts twice."""
    points = torch.rand(2, 10, 3) * 2 - 1
    index = strided_groups(points, 4)
    assert index.shape == (2, 3, 4) and all(set(row.flatten().tolist()) == set(range(10)) for row in index)
    values = torch.rand(2, 10, 5, requires_grad=True)
    grouped = values.gather(1, index.reshape(2, -1, 1).expand(-1, -1, 5)).reshape(2, 3, 4, 5)
    back = grouped_once(grouped, index, 10)
    assert torch.equal(back, values)
    back.sum().backward()
    assert torch.equal(values.grad, torch.ones_like(values))


def test_outside_the_image_is_outside_the_body() -> None:
    network = build_profile("tiny").eval()
    points = torch.tensor([[[1.2, 0.0, 0.0], [0.0, -1.1, 0.2]]])
    assert network.query(network.encode(torch.zeros(1, 3, 64, 64)), points).occupancy.max() < 1e-6


def test_the_photo_decides() -> None:
    network = build_profile("tiny").eval()
    image, points = sample(1)
    assert not torch.allclose(network.query(network.encode(image), points).logits, network.query(network.encode(image * 0), points).logits)


def test_loss_terms_by_hand() -> None:
    logits = torch.tensor([[[0.0, 2.0]], [[1.0, -1.0]]])
    inside = torch.tensor([[True, False]])
    bce = loss(Prediction(logits, {}), inside, LossConfig(kind="bce"))
    expected = torch.nn.functional.softplus(torch.tensor([-0.0, 2.0, -1.0, -1.0])).mean()
    assert bce["occupancy"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert bce["total"].item() == pytest.approx(bce["occupancy"].item())
    mse = loss(Prediction(logits, {}), inside, LossConfig(kind="mse"))
    s = logits.sigmoid()
    assert mse["occupancy"].item() == pytest.approx((((s[:, :, 0] - 1) ** 2 + s[:, :, 1] ** 2).mean() / 2).item(), rel=1e-5)


def test_scores_by_hand() -> None:
    found = scores(Prediction(torch.tensor([[[1.0, 1.0, -1.0, -1.0, 1.0]]]), {}), torch.tensor([[True, False, True, False, True]]))
    assert found == pytest.approx({"iou": 2 / 4, "precision": 2 / 3, "recall": 2 / 3})


def test_averaged_weights() -> None:
    network = build_profile("tiny")
    average = AveragedWeights(network, decay=0.5)
    before = {name: value.clone() for name, value in average.shadow.items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1.0
    average.update(network, step=1000)
    name = next(iter(dict(network.named_parameters())))
    assert torch.allclose(average.shadow[name], before[name] + 0.5, atol=1e-5)


class TestCheckpoint:
    def test_round_trip(self, tmp_path: Path) -> None:
        config = load(TrainConfig, "tiny").model
        network = build(config).eval()
        save_weights(tmp_path / "w.safetensors", network, config, {"steps": 7})
        again, found, meta = load_weights(tmp_path / "w.safetensors")
        image, points = sample()
        assert found == config and meta == {"steps": 7}
        assert torch.equal(network.query(network.encode(image), points).logits, again.query(again.encode(image), points).logits)

    @pytest.mark.parametrize("damage", ["missing", "cut", "garbage", "foreign", "unnamed", "reshaped"])
    def test_bad_files(self, tmp_path: Path, damage: str) -> None:
        path = tmp_path / "w.safetensors"
        config = load(TrainConfig, "tiny").model
        save_weights(path, build(config), config, {})
        if damage == "missing":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(path.read_bytes()[:5000])
        elif damage == "garbage":
            path.write_bytes(b"not weights at all")
        elif damage == "foreign":
            save_file({"a": torch.zeros(3)}, path)
        elif damage == "unnamed":  # of the right format, but not said of which network
            save_file({"a": torch.zeros(3)}, path, metadata={"format": '"ncpifu-weights-1"', "config": "[]", "meta": "null"})
        else:
            header = {"format": '"ncpifu-weights-1"', "config": json.dumps(config.model_dump(mode="json")), "meta": "{}"}
            save_file({name: torch.zeros(2, 2) for name in build(config).state_dict()}, path, metadata=header)
        with pytest.raises(NcpifuError, match=r"w\.safetensors"):
            load_weights(path)


def test_impossible_settings_are_refused() -> None:
    for values in ({"attention_width": 10, "attention_heads": 4}, {"codebook": {"size": 4, "select": 5}}, {"fusion": "codes", "local_codebook": False}):
        with pytest.raises(ValueError, match="must|exceeds|needs"):
            ModelConfig.model_validate(values)


def test_true_surfaces_take_the_place_of_predicted_ones() -> None:
    config = load(TrainConfig, "tiny", ["model.surface_depth=true"]).model
    network = build(config).eval()
    image, points = sample()
    plain = network.encode(image)
    own = plain.seen.depth[-1] / config.depth_scale
    asked = network.query(plain, points).logits
    assert torch.allclose(network.query(network.encode(image, own), points).logits, asked, atol=1e-5)
    unknown = torch.full_like(own, float("nan"))
    assert torch.equal(network.query(network.encode(image, unknown), points).logits, asked)
    assert not torch.allclose(network.query(network.encode(image, own + 0.1), points).logits, asked, atol=1e-3)


def test_surfaces_are_read_both_ways() -> None:
    network = build(load(TrainConfig, "tiny", ["model.surface_depth=true"]).model).eval()
    image, _ = sample()
    photo, mirror, both, from_mirror = (
        network.encode(*arguments).seen.depth for arguments in ((image,), (image.flip(-1),), (image, None, True), (image.flip(-1), None, True))
    )
    assert torch.allclose(both, (photo + mirror.flip(-1)) / 2, atol=1e-5)
    assert torch.allclose(from_mirror.flip(-1), both, atol=1e-5)
    assert not torch.allclose(photo, both, atol=1e-3)


def test_surfaces_are_relative() -> None:
    """Body and points moved together in depth: the two relative channels stay, the absolute one moves."""
    network = build(load(TrainConfig, "tiny", ["model.surface_depth=true"]).model).eval()
    image, points = sample()
    encoded = network.encode(image).encoded
    moved = dataclasses.replace(encoded, surfaces=encoded.surfaces + network.depth_scale * 0.1)
    before, after = network._x_c(encoded, points), network._x_c(moved, points + torch.tensor([0, 0, 0.1]))
    assert torch.allclose(before[..., -2:], after[..., -2:], atol=1e-5)
    assert torch.allclose(after[..., -3] - before[..., -3], torch.tensor(0.1 * network.depth_scale), atol=1e-5)


def test_points_beside_a_gap_are_told_their_own_side() -> None:
    """A near leg from 0.4 to 0.3 and a far one from 0 to -0.1, in NDC; and a ray without gap."""
    scale = 8.0
    legs, one = torch.tensor([0.4, -0.1, 0.3, 0.0]), torch.tensor([0.4, -0.1, 0.15, 0.15])
    z = torch.tensor([0.5, 0.35, 0.2, 0.1, -0.05, -0.2])
    told = [_around(scale * z[None, :, None], scale * surfaces.expand(1, 6, 4), scale)[0] / scale for surfaces in (legs, one)]
    assert torch.allclose(told[0], torch.tensor([[0.4, 0.3]] * 3 + [[0.0, -0.1]] * 3))
    assert torch.allclose(told[1], torch.tensor([[0.4, -0.1]] * 6))
    beyond = torch.tensor([0.4, -0.1, 0.5, -0.3])  # predicted gaps may stick out, surfaces stay in order
    told = _around(scale * z[None, :, None], scale * beyond.expand(1, 6, 4), scale)[0] / scale
    assert (told[:, 0] >= told[:, 1]).all() and told.max() <= 0.4001 and told.min() >= -0.1001
    narrow = torch.tensor([0.4, -0.1, 0.155, 0.145])
    assert torch.equal(_around(scale * z[None, :, None], scale * narrow.expand(1, 6, 4), scale)[0], (scale * narrow[:2]).expand(6, 2))


def test_a_gap_in_doubt_is_closed_and_a_sure_one_stays() -> None:
    """Two gaps apart, 2 and 12 cm wide at most; the wide one narrows to 3 cm at its rim."""
    scale, surfaces = 8.0, torch.tensor([0.3, -0.3, 0.0, 0.0])[:, None, None].repeat(1, 12, 12)
    for rows, columns, width in ((slice(1, 4), slice(1, 4), 0.02), (slice(7, 11), slice(6, 11), 0.03), (slice(8, 10), slice(7, 10), 0.12)):
        surfaces[2, rows, columns], surfaces[3, rows, columns] = width / 2, -width / 2
    kept = without_doubtful_gaps(scale * surfaces[None, None], scale)[0, 0] / scale
    assert torch.equal(kept[:2], surfaces[:2])
    assert torch.allclose((kept[2] - kept[3])[:5], torch.zeros(5, 12), atol=1e-6)
    assert torch.allclose(kept[:, 5:], surfaces[:, 5:], atol=1e-6)
    assert torch.equal(without_doubtful_gaps(surfaces[None, None, :2], scale)[0, 0], surfaces[:2])


def test_only_training_is_told_of_gaps_in_doubt() -> None:
    network = build(load(TrainConfig, "tiny", ["model.surface_depth=true", "model.depth_layers=4"]).model)
    with torch.no_grad():
        network.depth_head.read.weight.zero_()
        network.depth_head.read.bias.copy_(network.depth_scale * torch.tensor([0.3, -0.3, 0.02, -0.02]))
    image, _ = sample()
    for training, width in ((True, 0.04), (False, 0.0)):
        begin, end = (network.train(training).encode(image).seen.depth[:, :, 2:] / network.depth_scale).unbind(2)
        assert torch.allclose(begin - end, torch.full_like(begin, width), atol=1e-6)


def test_a_network_that_knows_gaps_reads_as_before_where_there_is_none() -> None:
    two, four = (build(load(TrainConfig, "tiny", ["model.surface_depth=true", f"model.depth_layers={layers}"]).model).eval() for layers in (2, 4))
    shared = {name: value for name, value in two.state_dict().items() if not name.startswith("depth_head")}
    assert four.load_state_dict(shared, strict=False).unexpected_keys == []
    image, points = sample()
    surfaces = torch.stack([torch.full((2, 16, 16), depth) for depth in (0.2, -0.2, 0.0, 0.0)], dim=1)
    answers = [network.query(network.encode(image, surfaces[:, :layers]), points).logits for network, layers in ((two, 2), (four, 4))]
    assert torch.allclose(*answers, atol=1e-5)
    surfaces[:, 2], surfaces[:, 3] = 0.1, -0.1
    assert not torch.allclose(four.query(four.encode(image, surfaces), points).logits, answers[0], atol=1e-3)


def test_gap_overlap_by_hand() -> None:
    true = torch.tensor([0.4, -0.4, 0.2, 0.0]).reshape(1, 4, 1, 1).repeat(1, 1, 1, 3)
    true[..., 2] = float("nan")
    predicted = 8.0 * torch.tensor([0.4, -0.4, 0.3, 0.1]).reshape(1, 4, 1, 1).repeat(1, 1, 1, 3)
    predicted[:, 2:, :, 1] = 8.0 * 0.25  # no gap
    assert gap_overlap(predicted, true, 8.0) == pytest.approx((0.1, 0.3 + 0.2))
    predicted[:, 2, :, 1] += 8.0 * 0.01  # 1 cm: none that is told to points
    assert gap_overlap(predicted, true, 8.0) == pytest.approx((0.1, 0.3 + 0.2))
    assert gap_overlap(predicted[:, :2], true[:, :2], 8.0) == (0.0, 0.0)


@pytest.mark.parametrize("stride", [2, 4])
def test_a_fresh_network_and_one_that_learns_from_renders_without_gaps_tell_none(stride: int) -> None:
    config = load(TrainConfig, "tiny", ["model.surface_depth=true", "model.depth_layers=4", f"model.depth_stride={stride}"]).model
    network = build(config)
    true = torch.rand(2, 4, 64 // stride, 64 // stride)
    true[:, 2:] = float("nan")
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(3):
        depth = network.see(torch.rand(2, 3, 64, 64)).depth
        assert torch.equal(depth[:, :, 2], depth[:, :, 3])
        (depth_loss(depth, true, 8.0) + slope_loss(depth, true, 8.0)).backward()
        optimizer.step()
        optimizer.zero_grad()
