"""Asking a network about points: bfloat16 where the device computes it, and what that costs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ncpifu_cli.models.api import Seen
from ncpifu_cli.models.build import build_profile
from ncpifu_cli.stages import device
from ncpifu_cli.stages.query import NetworkOccupancy
from ncpifu_cli.stages.weights import LoadedModel


@pytest.fixture
def model() -> LoadedModel:
    torch.manual_seed(0)
    network = build_profile("tiny").eval()
    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig

    return LoadedModel(network, load(TrainConfig, "tiny").model, {}, torch.device("cpu"), "", Path())


def ask(model: LoadedModel, monkeypatch: pytest.MonkeyPatch, bfloat16: bool, chunk: int | None = None) -> np.ndarray:
    monkeypatch.setattr(device, "computes_bfloat16", lambda where: bfloat16)
    rng = np.random.default_rng(0)
    occupancy = NetworkOccupancy(model, rng.integers(0, 255, (64, 64, 3)).astype(np.uint8), np.ones((64, 64), np.float32))
    occupancy.chunk = chunk or occupancy.chunk
    return occupancy(rng.uniform(-0.9, 0.9, (3000, 3)).astype(np.float32))


def test_bfloat16_is_near_float32_and_as_independent_of_pieces(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    exact, fast = (ask(model, monkeypatch, bfloat16) for bfloat16 in (False, True))
    assert exact.dtype == fast.dtype == np.float32
    assert 0 < np.abs(exact - fast).max() < 0.03
    assert np.abs(exact - fast).mean() < 0.003
    assert np.abs(fast - ask(model, monkeypatch, True, chunk=37)).max() < 1e-4


def test_gaps_are_counted_on_the_person(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    coverage = np.zeros((64, 64), np.float32)
    coverage[:, :32] = 1
    occupancy = NetworkOccupancy(model, np.zeros((64, 64, 3), np.uint8), coverage)
    assert occupancy.gap_share(coverage) == 0  # this network knows front and back only
    scale, surfaces = model.config.depth_scale, torch.zeros(4, 16, 16)
    surfaces[0], surfaces[1] = 0.2, -0.2
    surfaces[2, :4], surfaces[3, :4] = 0.1, 0.05  # 5 cm, in a quarter of the rows
    surfaces[2, 4:8], surfaces[3, 4:8] = 0.01, 0.0  # too short to be one
    surfaces[2, 8:], surfaces[3, 8:] = 0.5, 0.3  # before the front surface: none
    monkeypatch.setattr(occupancy, "_features", replace(occupancy._features, seen=Seen(scale * surfaces[None, None])))
    assert occupancy.gap_share(coverage) == pytest.approx(0.25)


def test_bfloat16_answers_are_not_on_a_coarse_grid(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many equal values, above all exact 0.5, would put a surface through the corners of the extraction's grid."""
    assert len(np.unique(ask(model, monkeypatch, True))) > 2500


def test_units_are_asked_for_as_far_as_torch_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for told, expected in (({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda told=told: told, raising=False)
        assert device.computes_bfloat16(cpu) is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert device.computes_bfloat16(cpu) is False
