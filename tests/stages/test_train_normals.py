import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.normal_crops import NormalCrop, draw_crops
from ncpifu_cli.data.normal_net import NormalNet, NormalNets, load_normals, save_normals
from ncpifu_cli.data.opposite_views import OppositeViews, find_opposite_views
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages import train_normals as stage
from tests.normal_fixtures import SIZE, write_hump


def facing(size: int = 8) -> torch.Tensor:
    """(1, 6, size, size): the upper half a surface that faces the camera, the rest none."""
    true = torch.zeros(1, 6, size, size)
    true[:, 2, : size // 2], true[:, 5, : size // 2] = 1.0, -1.0
    return true


def test_loss_by_hand() -> None:
    true = facing()
    assert float(stage.normal_loss(true.clone(), true)) == 0
    turned = true.clone()
    turned[:, 5, :4], turned[:, 3, :4] = 0.0, 1.0  # the back off by a right angle: squared 2, counted a quarter
    assert float(stage.normal_loss(turned, true)) == pytest.approx(0.5)
    turned[:, :3, 4:] = 7.0  # beside the surface anything goes
    assert float(stage.normal_loss(turned, true)) == pytest.approx(0.5)


def test_loss_counts_relief_more_than_a_turn_of_the_whole() -> None:
    true = facing()
    turned = true.clone()
    turned[:, 2, :4], turned[:, 0, :4] = 0.0, 1.0
    assert float(stage.normal_loss(turned, true)) == pytest.approx(2.0)  # the error is the same everywhere: no steps
    folded = true.clone()
    folded[:, 2, :4, 4:], folded[:, 0, :4, 4:] = 0.0, 1.0  # the right half alone: half the error, and a step of squared 2 in 4 of 28 + 24 pairs of neighbours
    coarse = 2.0  # of 4 x 4 pixels there are two, and one step between them
    assert float(stage.normal_loss(folded, true)) == pytest.approx(1.0 + stage.RELIEF * (2.0 * 4 / (28 + 24) + coarse))


def test_angles_of_a_network_that_says_straight_ahead(tmp_path: Path) -> None:
    class Flat(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            straight = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, -1.0])[None, :, None, None]
            return straight.expand(image.shape[0], 6, *image.shape[2:])

    views = [view for view in find_opposite_views(write_hump(tmp_path), size_px=SIZE) if "000_" in view.front.rgb]
    angles = stage.angles_deg(Flat(), views)  # type: ignore[arg-type]
    assert angles["back"] == pytest.approx(np.rad2deg(np.arccos(0.8)), abs=0.5)
    assert angles["front"] == pytest.approx(np.rad2deg(np.pi / 4), abs=1.0)  # of a half ball, by area of its picture: 45 degrees
    assert 55 < angles["head"] < 70  # of its uppermost 13 %, which are steep


def test_training_improves_leaves_weights_and_goes_on_from_them(tmp_path: Path) -> None:
    renders = write_hump(write_hump(tmp_path / "renders", "train-000001"), "train-000002")
    weights = stage.train_normals(renders, tmp_path / "run", watch=1, steps=25, batch_size=2, crop_px=64, view_px=SIZE, validate_every=10, learning_rate=5e-3)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 25]
    assert rows[-1]["front_deg"] < rows[0]["front_deg"]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert load_normals(weights).heads is None
    again = stage.train_normals(renders, tmp_path / "more", start=weights, steps=2, batch_size=2, crop_px=64, view_px=SIZE, limit_seconds=1e-9)
    before, after = load_normals(weights).state_dict(), load_normals(again).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # no time: nothing changes


def test_the_network_of_heads_stays_while_that_of_people_learns(tmp_path: Path) -> None:
    renders, both = write_hump(tmp_path / "renders"), tmp_path / "both.safetensors"
    save_normals(both, NormalNets(NormalNet(), NormalNet()), {})
    weights = stage.train_normals(renders, tmp_path / "run", watch=0, start=both, steps=3, batch_size=2, crop_px=64, view_px=SIZE)
    before, after = load_normals(both).state_dict(), load_normals(weights).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"people"}


def test_half_of_a_batch_is_of_the_close_renders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renders = write_hump(tmp_path / "renders")
    close = write_hump(write_hump(tmp_path / "close", "train-000001", size=2 * SIZE), "train-000002", size=2 * SIZE)
    drawn: list[tuple[str, int, bool]] = []

    def noted(views: OppositeViews, count: int, size_px: int, rng: np.random.Generator, backdrops: Backdrops, close: bool = False) -> list[NormalCrop]:
        drawn.append((views.folder.parent.name, count, close))
        return draw_crops(views, count, size_px, rng, backdrops, close)

    monkeypatch.setattr(stage, "draw_crops", noted)
    stage.train_normals(renders, tmp_path / "run", watch=1, steps=2, batch_size=4, crop_px=64, view_px=SIZE, close_renders=close)
    assert drawn == [("renders", 2, False), ("close", 2, True)] * 2
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    watched = [view for view in find_opposite_views(close, size_px=2 * SIZE) if view.folder.name == "train-000002"]
    told = stage.close_angles_deg(load_normals(tmp_path / "run" / "normals.safetensors"), watched)
    for name, angle in told.items():
        assert row[f"{name}_close_deg"] == pytest.approx(angle, abs=15)  # of no skill, and in half precision


def test_who_is_watched_is_trained_on_in_neither_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("train-000001", "train-000002", "train-000003")
    for name in names:
        renders = write_hump(tmp_path / "renders", name)
    close = write_hump(write_hump(tmp_path / "close", names[0], size=2 * SIZE), names[1], size=2 * SIZE)
    drawn: set[str] = set()

    def noted(views: OppositeViews, *args: Any, **options: Any) -> list[NormalCrop]:
        drawn.add(views.folder.name)
        return draw_crops(views, *args, **options)

    monkeypatch.setattr(stage, "draw_crops", noted)
    stage.train_normals(renders, tmp_path / "run", watch=1, steps=12, batch_size=2, crop_px=64, view_px=SIZE, close_renders=close)
    assert drawn == {"train-000001", "train-000003"}


def test_a_batch_has_its_size_whatever_the_crops_of_a_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def noted(net: Any, draw: Any, *args: Any, **options: Any) -> Path:
        sizes.append(len(draw()[0]))
        return tmp_path

    monkeypatch.setattr(stage, "fit", noted)
    close = write_hump(tmp_path / "close", size=2 * SIZE)
    for batch_size in (10, 12, 16):
        stage.train_normals(write_hump(tmp_path / "renders"), tmp_path / "run", batch_size=batch_size, crop_px=64, view_px=SIZE, close_renders=close)
    assert sizes == [10, 12, 16]


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="no opposite views"):
        stage.train_normals(tmp_path, tmp_path / "run")
