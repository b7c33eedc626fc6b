"""What counts as covered: a tube of cloth for a garment."""

from types import SimpleNamespace

import numpy as np
from stick_figure import tube

from ncpifu_cli.synth.layers import covered_share
from ncpifu_cli.synth.topology import submesh, triangulate


def _tube(slit_deg: float = 0.0) -> SimpleNamespace:
    vertices, quads = tube(150, 96, 0.1, 0.4)
    behind = np.degrees(np.abs(np.arctan2(vertices[:, 0], vertices[:, 1])))
    faces, ids = submesh(quads, (behind[quads] >= slit_deg / 2).all(axis=1))
    return SimpleNamespace(posed=vertices[ids], triangles=triangulate(faces))


def _ring(radius: float, from_deg: float = 0, to_deg: float = 360) -> np.ndarray:
    angle = np.radians(np.linspace(from_deg, to_deg, 40, endpoint=False))
    return np.stack([radius * np.sin(angle), radius * np.cos(angle), np.full(40, 0.22)], axis=1)


def test_skin_in_a_tube_is_covered_and_skin_outside_is_not() -> None:
    assert covered_share(_ring(0.085), [_tube()]) == 1
    assert covered_share(_ring(0.11), [_tube()]) == 0
    assert covered_share(_ring(0.085) + np.array([0, 0, 0.25]), [_tube()]) == 0


def test_skin_in_a_slit_is_bare_and_the_rest_is_not() -> None:
    gaping = _tube(60)
    assert covered_share(_ring(0.095, -15, 15), [gaping]) < 0.2
    assert covered_share(_ring(0.085, 90, 270), [gaping]) == 1


def test_a_fold_that_faces_inwards_does_not_bare_what_is_inside() -> None:
    """A second layer, turned over, lies nearer to the skin than the cloth does."""
    outer, inner = _tube(), _tube()
    inside = inner.posed * [0.9, 0.9, 0.25] + [0, 0, 0.17]
    triangles = np.concatenate([outer.triangles, inner.triangles[:, ::-1] + len(outer.posed), inner.triangles + len(outer.posed) + len(inside)])
    folded = SimpleNamespace(posed=np.concatenate([outer.posed, inside, inside * [0.99, 0.99, 1]]), triangles=triangles)
    assert covered_share(_ring(0.05), [folded]) == 1
