"""Fronts have triangles that can carry folds, heads such as can carry a face, and nothing else changes."""

import numpy as np
import pytest
import trimesh

from ncpifu_cli.data.framing import crown
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


def front_edges(mesh: trimesh.Trimesh, head: bool) -> np.ndarray:
    ends = mesh.vertices[mesh.edges_unique]
    facing = (np.asarray(mesh.vertex_normals)[mesh.edges_unique, 2] > 0.2).all(axis=1)
    above = ends[..., 1].min(axis=1) > 0.65 if head else ends[..., 1].max(axis=1) < 0.88 - detail.HEAD_NDC - 0.05
    return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)[facing & above]


@pytest.mark.parametrize("bottom", [-0.88, 0.0])
def test_fronts_get_short_edges_heads_shorter_ones_and_backs_stay(bottom: float) -> None:
    coarse = person(128, bottom)
    fine = trimesh.Trimesh(*detail.with_fine_front(coarse.vertices, coarse.faces, *CROWN), process=False)
    assert fine.is_watertight and fine.volume == pytest.approx(coarse.volume)
    assert front_edges(fine, head=False).mean() < 1.1 * detail.FINE_NDC < front_edges(coarse, head=False).mean()
    assert front_edges(fine, head=True).mean() < 1.1 * detail.FINE_HEAD_NDC
    assert np.array_equal(fine.vertices[: len(coarse.vertices)], coarse.vertices)
    added = fine.vertices[len(coarse.vertices) :]
    assert added[:, 2].min() > -0.03  # edges that begin in front


def test_a_fine_mesh_stays_as_it_is_and_a_very_coarse_one_is_cut_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail, "FINE_HEAD_NDC", detail.FINE_NDC)
    fine = person(448)
    vertices, faces = detail.with_fine_front(fine.vertices, fine.faces, *CROWN)
    assert np.array_equal(faces, fine.faces) and np.array_equal(vertices, fine.vertices)
    coarse = person(48)
    cut = trimesh.Trimesh(*detail.with_fine_front(coarse.vertices, coarse.faces, *CROWN), process=False)
    before, after = (front_edges(mesh, head=False).mean() for mesh in (coarse, cut))
    assert before / 4.5 < after < before / 3


def test_within_the_head_and_not_at_its_outline() -> None:
    coverage = np.zeros((512, 512), np.float32)
    coverage[30:130, 216:296] = coverage[120:480, 156:356] = 1
    middle, top = crown(coverage) or pytest.fail("no head")
    share = detail.within_head(coverage, middle, top)
    assert share[80, 256] == 1 and share[60, 230] == 1
    assert share[80, 217] == share[31, 256] == share[80, 100] == 0
    assert share[300].max() == 0, "the trunk is no head"
    assert share[80, 216:240].max() == 1 and (np.diff(share[80, 216:240]) >= 0).all()


def test_under_lifted_arms_the_head_gets_short_edges_and_the_hands_do_not() -> None:
    coverage = np.zeros((256, 256), np.float32)
    coverage[60:240, 90:170] = coverage[40:80, 120:150] = 1  # trunk and head
    coverage[16:80, 92:102] = coverage[20:80, 160:170] = 1  # arms
    place = crown(coverage)
    assert place is not None
    middle, top = place
    assert middle == pytest.approx(2 * 135 / 256 - 1, abs=0.01)
    assert top == pytest.approx(1 - 2 * 40 / 256, abs=0.01)
    body = person(96)
    body.apply_translation((0, 0.1, 0))  # something is above the head
    headless, headed = (detail.with_fine_front(body.vertices, body.faces, 0.05, top)[0] for top in (9.0, 0.88))
    above = [int((points[:, 1] > 0.88 + detail.ABOVE_NDC + 0.01).sum()) for points in (headless, headed)]
    assert len(headed) > len(headless) and above[0] == above[1] > 0


def test_where_nobody_is_there_is_no_head() -> None:
    assert crown(np.zeros((64, 64), np.float32)) is None
