"""The benchmarks: each says what it is for; those that make what is released do what they say."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from render_fixtures import write_balls
from scan_fixtures import write_draco
from scipy.spatial import cKDTree

from ncpifu_cli.artifacts import read_json, write_json
from ncpifu_cli.config.base import load
from ncpifu_cli.config.synth import Wishes
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import find_subjects, read_view
from ncpifu_cli.data.perspective import Perspective
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.models.build import build
from ncpifu_cli.models.checkpoint import load_weights, save_weights
from ncpifu_cli.synth.assemble import decode_draco
from ncpifu_cli.synth.wishes import check

FOLDER = Path(__file__).parents[1] / "benchmarks"


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | str | None:
    """`python benchmarks/<name>.py <arguments>` in this process; what it exits with."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
    monkeypatch.syspath_prepend(str(FOLDER))  # as Python itself does for a script
    try:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_every_benchmark_says_what_it_is_for(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith("usage:") and len(said) > 200


def test_training_is_measured_on_a_profile_with_a_camera(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = run("training", monkeypatch, "--config", "tiny", "--steps", 1, "--batch", 2, "--threads", 1, "--row", "full", "float32")
    assert not code and json.loads(capsys.readouterr().out)


def test_renders_are_carried_as_they_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_balls(tmp_path / "renders")
    parts = tmp_path / "parts"
    assert run("carry_renders", monkeypatch, "pack", tmp_path / "renders", "-o", parts, "--jobs", 1) == 0
    assert run("carry_renders", monkeypatch, "unpack", *sorted(parts.glob("*.bin")), "-o", tmp_path / "there", "--jobs", 1) == 0
    carried = find_subjects(tmp_path / "there")
    assert [subject.name for subject in carried] == [subject.name for subject in find_subjects(tmp_path / "renders")]
    for subject in carried:
        rgb, mask = read_view(subject.folder, subject.views[0])
        assert mask.any() and rgb[mask].any()


def some_weights(path: Path, seed: int, steps: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    config = load(TrainConfig, "tiny").model
    network = build(config)
    save_weights(path, network, config, {"steps": steps})
    return network.state_dict()


def test_mixed_weights_are_the_mean_and_count_all_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (some_weights(tmp_path / f"{seed}.safetensors", seed, steps=10 * seed) for seed in (1, 2))
    files = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    assert run("mix_weights", monkeypatch, *files, "--shares", 0.75, 0.25, "-o", tmp_path / "mixed.safetensors") == 0
    network, _, meta = load_weights(tmp_path / "mixed.safetensors")
    assert meta["steps"] == 30
    for name, tensor in network.state_dict().items():
        wanted = 0.75 * a[name].double() + 0.25 * b[name].double()
        assert torch.allclose(tensor.double(), wanted, atol=2e-3 * float(wanted.abs().max()) + 1e-6), name  # stored in half precision


def test_shares_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mix_weights", monkeypatch, "a.safetensors", "b.safetensors", "--shares", 0.5, "-o", tmp_path / "x.safetensors") == 2
    assert "2 numbers" in capsys.readouterr().err
    assert "none.safetensors" in str(run("mix_weights", monkeypatch, tmp_path / "none.safetensors", "-o", tmp_path / "x.safetensors"))
    assert not list(tmp_path.iterdir())


def test_near_cameras_compares_networks_on_held_out_humans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    renders = write_balls(tmp_path / "renders")
    some_weights(tmp_path / "one.safetensors", 1, steps=1)
    assert run("near_cameras", monkeypatch, renders, tmp_path / "one.safetensors", "--views", 2) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[-1].startswith("| one | ")
    depth, far, _, _, near_depth, near, ground, left_in = (float(cell) for cell in table[-1].split("|")[2:10])
    assert 0 < depth < 100 and 0 < near_depth < 100 and depth != near_depth
    assert far == 0 and near > 0.05  # a fresh network says that every camera is orthographic
    assert ground == left_in > 1


def test_near_scans_are_the_humans_as_a_near_camera_sees_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "scans" / "test-000001"
    folder.mkdir(parents=True)
    write_draco(folder / "mesh.drc")
    write_json(folder / "meta.json", {"name": "test-000001"})
    (tmp_path / "names.txt").write_text("test-000001\n")
    assert run("near_scans", monkeypatch, tmp_path / "scans", tmp_path / "names.txt", "-o", tmp_path / "near") == 0
    camera = read_json(tmp_path / "near" / "test-000001" / "meta.json")["camera"]
    assert 2.2 <= camera[0] <= 5.5
    before = read_scan(find_scans(tmp_path / "scans")[0]).vertices / HALF_EXTENT_M
    seen = Perspective(camera[0], tuple(camera[1:])).points(before) * HALF_EXTENT_M
    after = decode_draco((tmp_path / "near" / "test-000001" / "mesh.drc").read_bytes()).vertices
    distance, nearest = cKDTree(seen).query(after)
    assert len(after) == len(seen) == len(np.unique(nearest))
    assert distance.max() < 5e-4  # 14 bits of the file
    assert np.abs(seen - before * HALF_EXTENT_M).max() > 0.02


@pytest.mark.parametrize("path", sorted((FOLDER / "people").glob("*.yaml")), ids=lambda path: path.stem)
def test_wished_people_can_be_made(path: Path) -> None:
    check(load(Wishes, path))
