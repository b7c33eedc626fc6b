"""Training the back network: its loss by hand, and that it learns, stores and goes on."""

import json
from pathlib import Path

import pytest
import torch

from ncpifu_cli.data.back_net import BackNet, load_back
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages import train_back as stage
from tests.normal_fixtures import SIZE, write_hump


def test_loss_by_hand() -> None:
    image, back = torch.zeros(1, 4, 16, 16), torch.zeros(1, 5, 16, 16)
    image[:, 3], back[:, 3] = 1, 1  # a grey person, as wide as the picture, its back as grey, nothing of it a head
    answer = torch.zeros(1, 4, 16, 16)
    answer[:, 0], answer[:, 1] = 0.5, 1.0  # half of the photo, half of a red that is off by 1
    assert float(stage.back_loss(answer, image, back)) == pytest.approx(0.5 * len(stage.MEANS))
    back[:, 4] = 1
    assert float(stage.back_loss(answer, image, back)) == pytest.approx(0.5 * len(stage.MEANS) + 0.5)  # as wrong everywhere: no steps


def test_stripes_that_lie_elsewhere_cost_nothing_on_clothes_and_something_on_heads() -> None:
    image, back = torch.zeros(1, 4, 16, 16), torch.zeros(1, 5, 16, 16)
    image[:, 3], back[:, 3] = 1, 1
    stripes = torch.where(torch.arange(16) % 2 == 0, 0.5, -0.5)
    image[:, :3], back[:, :3] = stripes, -stripes
    answer = torch.zeros(1, 4, 16, 16)
    answer[:, 0] = 1
    assert float(stage.back_loss(answer, image, back)) == pytest.approx(0, abs=1e-6)
    back[:, 4] = 1
    assert float(stage.back_loss(answer, image, back)) == pytest.approx(3.0 + stage.FEATURES * 3 * 2 * 15 / 16)


def test_training_improves_leaves_weights_and_goes_on_from_them(tmp_path: Path) -> None:
    renders = write_hump(write_hump(tmp_path / "renders", "train-000001"), "train-000002")
    weights = stage.train_back(renders, tmp_path / "run", watch=("train-000002",), view_px=SIZE, steps=24, batch_size=2, validate_every=8, learning_rate=5e-2)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [8, 16, 24]
    assert rows[-1]["watched"] < rows[0]["watched"]
    assert isinstance(load_back(weights), BackNet)
    again = stage.train_back(renders, tmp_path / "more", view_px=SIZE, start=weights, steps=2, batch_size=2, limit_seconds=1e-9)
    before, after = load_back(weights).state_dict(), load_back(again).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # no time: nothing changes


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="no opposite views"):
        stage.train_back(tmp_path, tmp_path / "run")
    with pytest.raises(NcpifuError, match="nobody of this name"):
        stage.train_back(write_hump(tmp_path), tmp_path / "run", watch=("train-00001",), view_px=SIZE)
    with pytest.raises(NcpifuError, match="all are watched"):
        stage.train_back(write_hump(tmp_path), tmp_path / "run", watch=("train-000001",), view_px=SIZE)


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renders, calls = write_hump(tmp_path / "renders"), iter([1.0, 1.0, 1.0, float("nan")])
    monkeypatch.setattr(stage, "back_loss", lambda answer, image, back: answer.mean() * next(calls))
    with pytest.raises(NcpifuError, match="no number at step 4"):
        stage.train_back(renders, tmp_path / "run", view_px=SIZE, steps=8, batch_size=2, validate_every=2)
    assert load_back(tmp_path / "run" / "back.safetensors")
