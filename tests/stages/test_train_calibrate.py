"""The surface stands where as much volume is inside as truly is; the encoder can be trained alone; watched subjects can be named."""

import csv
from pathlib import Path

import pytest
import torch
from render_fixtures import write_balls

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import find_subjects
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import load_weights
from ncpifu_cli.stages.train import train
from ncpifu_cli.stages.train_calibrate import surface_logit
from ncpifu_cli.stages.train_loader import choose_subjects

CPU = torch.device("cpu")


def tiny(*overrides: str) -> TrainConfig:
    return load(TrainConfig, "tiny", list(overrides))


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("renders"))


def test_saved_weights_have_the_surface_in_place(renders: Path, tmp_path: Path) -> None:
    config = tiny("steps=2")
    model, _, meta = load_weights(train(config, renders, tmp_path / "run", device="cpu").weights)
    _, watched = choose_subjects(find_subjects(renders), config.data)
    # Lowered once by what was measured, the same measurement finds nothing left to do.
    assert abs(meta["surface_logit"]) > 1e-3
    assert surface_logit(model, config, watched, CPU) == pytest.approx(0, abs=1e-3)


def test_a_network_that_says_inside_too_often_is_lowered(renders: Path, tmp_path: Path) -> None:
    config = tiny("steps=1")
    model, _, _ = load_weights(train(config, renders, tmp_path / "run", device="cpu").weights)
    _, watched = choose_subjects(find_subjects(renders), config.data)
    model.classifier.lower(-3.0)
    assert surface_logit(model, config, watched, CPU) == pytest.approx(3.0, abs=1e-3)


def test_the_encoder_alone(renders: Path, tmp_path: Path) -> None:
    config = tiny("steps=3", "loss.occupancy=0", "loss.depth=1")
    result = train(config, renders, tmp_path / "run", device="cpu")
    with open(tmp_path / "run" / "metrics.csv", encoding="utf-8") as file:
        logged = {row["name"] for row in csv.DictReader(file)}
    assert logged >= {"depth", "val_depth_cm"}
    assert not logged & {"occupancy", "val_iou"}
    before = load_weights(train(tiny("steps=1", "optim.lr=1e-9"), renders, tmp_path / "other", device="cpu").weights)[0].state_dict()
    after = load_weights(result.weights)[0].state_dict()
    changed = {name.split(".")[0] for name in after if not torch.allclose(before[name], after[name], atol=1e-5)}
    assert changed - {"classifier"} == {"encoder", "depth_head", "camera_head"}  # the other run's classifier was lowered


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_what_reads_from_the_encoder_may_be_trained_beside_one_that_keeps_still(renders: Path, tmp_path: Path, rate: float) -> None:
    first = train(tiny("steps=2"), renders, tmp_path / "first")
    config = tiny("steps=3", "optim.ema=0", f"optim.encoder_rate={rate}")
    second = train(config, renders, tmp_path / "second", init_from=first.weights)
    before, after = (load_weights(result.weights)[0].state_dict() for result in (first, second))
    moved = {name: (after[name] - before[name]).abs().max().item() for name in before if before[name].is_floating_point()}
    of_encoder = max(change for name, change in moved.items() if name.startswith(("encoder.", "depth_head.")))
    assert 0 <= of_encoder < 0.1 * moved["global_branch.fusion.enter.weight"]
    assert (of_encoder == 0) == (rate == 0)
    resumed = train(tiny("steps=4", "optim.ema=0", f"optim.encoder_rate={rate}"), renders, tmp_path / "second", resume=True)
    last = load_weights(resumed.weights)[0].state_dict()
    still = [torch.equal(last[name], after[name]) for name in last if name.startswith(("encoder.", "depth_head."))]
    assert all(still) == (rate == 0)
    assert not torch.equal(last["global_branch.fusion.enter.weight"], after["global_branch.fusion.enter.weight"])


@pytest.mark.parametrize("nothing", [("optim.encoder_rate=0",), ("loss.depth=0", "loss.slope=0")])
def test_an_encoder_that_could_not_learn_is_refused(nothing: tuple[str, ...]) -> None:
    with pytest.raises(NcpifuError, match="nothing learns"):
        tiny("loss.occupancy=0", *nothing)


def test_gaps_are_scored_where_the_network_and_the_renders_know_them(renders: Path, tmp_path: Path) -> None:
    config = load(TrainConfig, "tiny", ["steps=2", "loss.occupancy=0", "loss.depth=1", "model.depth_layers=4"])
    train(config, renders, tmp_path / "run", device="cpu")
    with open(tmp_path / "run" / "metrics.csv", encoding="utf-8") as file:
        gaps = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "val_gap_iou"]
    assert gaps and all(0 <= value <= 1 for value in gaps)


def test_named_subjects_are_watched_whatever_is_added(renders: Path) -> None:
    config = load(TrainConfig, "tiny", ["data.watch=[train-000002]"])
    training, watched = choose_subjects(find_subjects(renders), config.data)
    assert [subject.name for subject in watched] == ["train-000002"]
    assert [subject.name for subject in training] == ["train-000000", "train-000001", "train-000003"]
