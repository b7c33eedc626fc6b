import gzip
from pathlib import Path

import numpy as np
import pytest

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.body import without_mouth
from ncpifu_cli.synth.phenotype import CHILD_SHARE, EXPRESSIONS, HELD_OUT_EXPRESSIONS, SLIDERS, Features, offsets, sample_features, sample_phenotype
from ncpifu_cli.synth.topology import boundary_edges


def test_some_are_children_and_some_are_old_and_women_are_as_many_as_men() -> None:
    people = [sample_phenotype(np.random.default_rng(seed)) for seed in range(1000)]
    assert np.mean([p.is_child for p in people]) == pytest.approx(CHILD_SHARE, abs=0.03)
    assert np.mean([p.age > 0.85 for p in people]) > 0.08
    assert np.mean([p.is_female for p in people]) == pytest.approx(0.5, abs=0.05)
    assert all(0 <= value <= 1 for p in people for value in vars(p).values())


def test_faces_differ_and_held_out_expressions_are_kept_out() -> None:
    faces = [sample_features(np.random.default_rng(seed)) for seed in range(200)]
    assert {face.expression for face in faces} == set(EXPRESSIONS) - set(HELD_OUT_EXPRESSIONS)
    assert all(len(face.sliders) == len(SLIDERS) for face in faces)
    assert len({tuple(face.sliders) for face in faces}) > 190
    assert set(HELD_OUT_EXPRESSIONS) <= {sample_features(np.random.default_rng(seed), held_out=True).expression for seed in range(120)}


def test_targets_are_read_turned_and_weighted(tmp_path: Path) -> None:
    (tmp_path / "cheek").mkdir()
    for side, vertex in (("l", 5), ("r", 9)):
        with gzip.open(tmp_path / "cheek" / f"{side}-cheek-bones-incr.target.gz", "wt") as file:
            file.write(f"{vertex} 1 2 3\n")
    moved = offsets(Features({"cheek/{s}-cheek-bones-incr": 0.5}), tmp_path)
    assert np.allclose(moved[[5, 9]], [0.05, -0.15, 0.1])  # decimetres, y up -> metres, z up, facing -y
    assert np.count_nonzero(moved) == 6
    with pytest.raises(NcpifuError, match="nose-hump"):
        offsets(Features({"nose/nose-hump-incr": 1.0}), tmp_path)


def test_the_mouth_is_closed_by_a_lid() -> None:
    """A box of quads whose lower half is the cavity."""
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    in_mouth = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    triangles = without_mouth(quads, in_mouth, np.arange(8.0))
    assert len(boundary_edges(triangles)) == 0
    assert len(triangles) == 12
    edges = [tuple(edge) for triangle in triangles for edge in zip(triangle, np.roll(triangle, -1), strict=True)]
    assert len(edges) == len(set(edges)), "faces turned differently"
