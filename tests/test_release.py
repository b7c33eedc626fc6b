"""What is shipped: the weights are the ones the card speaks of, and the example becomes a mesh near the truth beside it."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from ncpifu_cli.artifacts import sha256
from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.geometry.camera import normalise_subject
from ncpifu_cli.geometry.metrics import SurfaceTree
from ncpifu_cli.models.checkpoint import load_weights
from ncpifu_cli.stages.reconstruct import load_model, reconstruct
from ncpifu_cli.stages.weights import released_weights

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for kind in ("*.safetensors", "*.onnx") for path in (ROOT / "weights").glob(kind))
WEIGHTS = sorted(released_weights().values())


def test_there_are_weights() -> None:
    assert {path.stem for path in WEIGHTS} >= {"compact"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_are_what_the_card_says(path: Path) -> None:
    sums = dict(reversed(line.split()) for line in (ROOT / "weights" / "SHA256SUMS").read_text().splitlines())
    assert sums[path.name] == sha256(path)
    assert path.stat().st_size < 60_000_000
    assert path.name in (ROOT / "weights" / "README.md").read_text()


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_networks_are_their_profiles(path: Path) -> None:
    _, config, meta = load_weights(path)
    assert meta["steps"] > 0
    if path.stem in ("compact", "paper"):
        assert config == load(TrainConfig, path.stem).model


@pytest.fixture(scope="module")
def person() -> trimesh.Trimesh:
    return reconstruct(ROOT / "examples" / "person.jpg", load_model("compact", device="cpu"), resolution=128).mesh


def test_the_example_is_a_whole_body(person: trimesh.Trimesh) -> None:
    assert person.is_watertight
    assert person.volume > 0
    low, high = person.bounds
    assert high[1] - low[1] == pytest.approx(1.8, abs=0.01)
    assert low[1] == pytest.approx(0, abs=1e-6)
    body = person.vertices[person.vertices[:, 1] > 0.1]  # soles still come out too long: weights/README.md
    assert 0.2 < np.ptp(body[:, 2]) < 0.6  # neither a pancake nor a column along the view


def test_the_example_is_near_its_truth(person: trimesh.Trimesh) -> None:
    truth = trimesh.load(ROOT / "examples" / "person_truth.glb", force="mesh")
    there_m, back_m = normalise_subject(trimesh.sample.sample_surface(person, 20_000, seed=0)[0]), normalise_subject(np.asarray(truth.vertices))
    guess, true = there_m.apply(np.asarray(person.vertices)), back_m.apply(np.asarray(truth.vertices))  # fronts have more vertices than backs
    there = SurfaceTree(true, np.asarray(truth.faces)).distance_m(guess)
    back = SurfaceTree(guess, np.asarray(person.faces)).distance_m(true[np.abs(true[:, 2]) > 0.02])
    assert there.mean() < 0.025  # metres of a 1.80 m person
    assert back.mean() < 0.025


def test_legs_are_separate(person: trimesh.Trimesh) -> None:
    shin = person.section(plane_origin=[0, 0.3, 0], plane_normal=[0, 1, 0])
    assert shin is not None
    assert sum(np.ptp(loop, axis=0).max() > 0.05 for loop in shin.discrete) == 2
