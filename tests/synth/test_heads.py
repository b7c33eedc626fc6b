"""Heads alone have the faces of the humans of their number, and a crown where pictures are centred."""

import numpy as np
import pytest

from ncpifu_cli.synth import heads
from ncpifu_cli.synth.heads import HeadOnShoulders, make_head

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def some() -> list[HeadOnShoulders]:
    return [make_head("train", number) for number in (4001, 4004, 4007)]  # long hair, bald, short hair and glasses


def test_a_head_is_life_size_and_faces_the_camera(some: list[HeadOnShoulders]) -> None:
    for head in some:
        vertices, crown = head.mesh.vertices, head.crown
        assert vertices[head.mesh.faces.max()].shape == (3,) and head.mesh.colors.shape == vertices.shape
        assert 1.7 < crown[1] < 1.9  # of somebody who is 1.80 m tall and may wear their hair high
        assert vertices[:, 1].min() == pytest.approx(crown[1] - heads.BUST_M, abs=0.02)
        skull = vertices[(vertices[:, 1] > crown[1] - 0.22) & (vertices[:, 1] < crown[1] - 0.1)]
        assert 0.05 < skull[:, 2].max() - crown[2] < 0.2  # a face before the crown


def test_crowns_are_those_of_the_hair(some: list[HeadOnShoulders]) -> None:
    long, bald, _ = some
    assert bald.crown[1] == pytest.approx(bald.mesh.vertices[:, 1].max(), abs=0.003)
    high = np.sort(long.mesh.vertices[:, 1])[-1]
    assert high - 0.04 < long.crown[1] <= high


def test_equal_numbers_give_equal_heads(some: list[HeadOnShoulders]) -> None:
    again = make_head("train", 4004)
    assert np.array_equal(again.mesh.vertices, some[1].mesh.vertices)
    assert np.array_equal(again.mesh.colors, some[1].mesh.colors)
    assert not np.array_equal(make_head("test", 4004).mesh.vertices[:100], some[1].mesh.vertices[:100])


def test_shirts_end_below_the_chin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "SHIRT_M", 0.0)
    monkeypatch.setattr(heads, "SHIRT", 1.0)
    dressed = make_head("train", 4007)
    monkeypatch.setattr(heads, "SHIRT", 0.0)
    bare = make_head("train", 4007)
    changed = np.abs(dressed.mesh.colors.astype(int) - bare.mesh.colors).max(axis=1) > 30
    below = dressed.crown[1] - dressed.mesh.vertices[:, 1]
    assert changed[below > 0.4].mean() > 0.5
    assert not changed[below < 0.2].any()
