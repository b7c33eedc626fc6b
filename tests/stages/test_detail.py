"""Heads have triangles that can carry a face, and nothing else changes."""

import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.extract import extract_surface
from ncpifu_cli.stages import detail

CROWN = 0.05, 0.88


def person(cells: int, bottom: float = -0.88) -> trimesh.Trimesh:
    """A head on a body on a grid of `cells`, its top at 0.88 and its feet at `bottom`."""

    def field(points: np.ndarray) -> np.ndarray:
        head = np.linalg.norm((points - (0.05, 0.76, 0)) / (0.08, 0.12, 0.1), axis=1)
        body = np.maximum(np.linalg.norm(points[:, [0, 2]] / (0.25, 0.15), axis=1), np.abs(points[:, 1] - (0.62 + bottom) / 2) / ((0.62 - bottom) / 2))
        return (1 / (1 + np.exp(8 * (np.minimum(head, body) - 1)))).astype(np.float32)

    surface = extract_surface(field, cells)
    return trimesh.Trimesh(surface.vertices, surface.faces, process=False)


def head_edges(mesh: trimesh.Trimesh) -> np.ndarray:
    ends = mesh.vertices[mesh.edges_unique]
    return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)[ends[..., 1].min(axis=1) > 0.65]


@pytest.mark.parametrize("bottom", [-0.88, 0.0])
def test_a_head_gets_short_edges_and_the_rest_stays(bottom: float) -> None:
    coarse = person(128, bottom)
    fine = trimesh.Trimesh(*detail.with_fine_head(coarse.vertices, coarse.faces, *CROWN), process=False)
    assert fine.is_watertight and fine.volume == pytest.approx(coarse.volume)
    assert head_edges(fine).mean() < detail.FINE_NDC < head_edges(coarse).mean()
    assert np.array_equal(fine.vertices[: len(coarse.vertices)], coarse.vertices)
    added = fine.vertices[len(coarse.vertices) :]
    assert added[:, 1].min() > 0.88 - detail.HEAD_NDC - 0.03
    assert np.abs(added[:, 0] - 0.05).max() < detail.HALF_WIDTH_NDC + 0.03


def test_a_fine_mesh_stays_as_it_is_and_a_very_coarse_one_is_cut_twice() -> None:
    fine = person(448)
    vertices, faces = detail.with_fine_head(fine.vertices, fine.faces, *CROWN)
    assert np.array_equal(faces, fine.faces) and np.array_equal(vertices, fine.vertices)
    coarse = person(48)
    cut = trimesh.Trimesh(*detail.with_fine_head(coarse.vertices, coarse.faces, *CROWN), process=False)
    assert head_edges(coarse).mean() / 4.5 < head_edges(cut).mean() < head_edges(coarse).mean() / 3


def test_under_lifted_arms_the_head_gets_short_edges_and_the_hands_do_not() -> None:
    coverage = np.zeros((256, 256), np.float32)
    coverage[60:240, 90:170] = coverage[40:80, 120:150] = 1  # trunk and head
    coverage[16:80, 92:102] = coverage[20:80, 160:170] = 1  # arms
    middle, top = detail.crown(coverage)
    assert middle == pytest.approx(2 * 135 / 256 - 1, abs=0.01)
    assert top == pytest.approx(1 - 2 * 40 / 256, abs=0.01)
    body = person(96)
    body.apply_translation((0, 0.1, 0))  # something is above the head
    added = detail.with_fine_head(body.vertices, body.faces, 0.05, 0.88)[0][len(body.vertices) :]
    assert len(added) and added[:, 1].max() < 0.88 + detail.ABOVE_NDC + 0.03


def test_where_nobody_is_there_is_no_head() -> None:
    assert detail.crown(np.zeros((64, 64), np.float32)) == (0.0, 0.0)
