"""The network of heads learns, leaves that of people as it is, and takes in heads that are drawn meanwhile."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from ncpifu_cli.data.head_pictures import HeadView, draw_head, read_views, save_views
from ncpifu_cli.data.normal_net import NormalNet, NormalNets, load_normals, save_normals
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages import train_heads as stage


def write_head(folder: Path, name: str) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.12)
    colors = np.full((len(mesh.vertices), 3), 150, np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    views = [draw_head(mesh.vertices, np.asarray(mesh.faces), colors, np.array([0, 0.12, 0]), np.random.default_rng(seed)) for seed in range(2)]
    save_views(folder / f"{name}.npz", views)


def test_heads_learn_and_people_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "LOOK_AGAIN", 1)
    write_head(tmp_path / "heads", "train-000001")
    write_head(tmp_path / "held", "test-000001")
    save_normals(tmp_path / "start.safetensors", NormalNets(NormalNet()), {})
    weights = stage.train_heads(
        tmp_path / "heads",
        tmp_path / "run",
        tmp_path / "start.safetensors",
        held_out=tmp_path / "held",
        steps=16,
        batch_size=2,
        validate_every=8,
        learning_rate=2e-2,
    )
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [8, 16]
    assert rows[-1]["loss"] < rows[0]["loss"]
    start, trained = load_normals(tmp_path / "start.safetensors"), load_normals(weights)
    assert trained.heads is not None
    assert all(torch.equal(value, trained.people.state_dict()[name]) for name, value in start.people.state_dict().items())
    assert not all(torch.equal(value, trained.heads.state_dict()[name]) for name, value in start.people.state_dict().items())
    assert stage.head_angle_deg(trained.heads, [tmp_path / "held" / "test-000001.npz"]) == pytest.approx(rows[-1]["head_deg"], abs=1.5)  # in half precision


def test_heads_that_are_drawn_meanwhile_are_taken_in_and_held_out_or_unfinished_ones_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "LOOK_AGAIN", 1)
    write_head(tmp_path / "heads", "train-000001")
    write_head(tmp_path / "heads", "test-000001")
    (tmp_path / "heads" / ".tmp-1-train-000003.npz").write_bytes(b"half")
    save_normals(tmp_path / "start.safetensors", NormalNets(NormalNet(), NormalNet()), {})
    seen: set[str] = set()

    def noted(path: Path) -> list[HeadView]:
        seen.add(path.stem)
        if len(seen) == 1:
            write_head(tmp_path / "heads", "train-000002")
        return read_views(path)

    monkeypatch.setattr(stage, "read_views", noted)
    stage.train_heads(tmp_path / "heads", tmp_path / "run", tmp_path / "start.safetensors", steps=8, batch_size=3)
    assert seen == {"train-000001", "train-000002"}


def test_without_heads_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    save_normals(tmp_path / "start.safetensors", NormalNets(NormalNet()), {})
    with pytest.raises(NcpifuError, match="no held-out heads"):
        stage.drawn_heads(tmp_path, held_out=True)
    with pytest.raises(NcpifuError, match="no heads"):
        stage.train_heads(tmp_path, tmp_path / "run", tmp_path / "start.safetensors")


@pytest.mark.slow
def test_heads_are_drawn_once(tmp_path: Path) -> None:
    stage.draw_heads(tmp_path, "train", range(4004, 4005))
    file = tmp_path / "train-004004.npz"
    before = file.stat().st_mtime_ns
    stage.draw_heads(tmp_path, "train", range(4004, 4005))
    assert file.stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["train-004004.npz"]
