import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.subdivide import split_faces


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=2)


@pytest.mark.parametrize("share", [0.0, 0.003, 0.2, 0.6, 1.0])
def test_the_surface_stays_the_same_and_closed(ball: trimesh.Trimesh, share: float) -> None:
    chosen = np.random.default_rng(3).random(len(ball.faces)) < share
    vertices, faces = split_faces(ball.vertices, ball.faces, chosen)
    finer = trimesh.Trimesh(vertices, faces, process=False)
    assert np.array_equal(vertices[: len(ball.vertices)], ball.vertices)
    assert finer.is_watertight and finer.is_winding_consistent
    assert finer.volume == pytest.approx(ball.volume) and finer.area == pytest.approx(ball.area)
    assert finer.area_faces.min() > 0
    assert len(np.unique(np.sort(faces, axis=1), axis=0)) == len(faces)
    assert len(faces) >= len(ball.faces) + 3 * chosen.sum()


def test_one_face_becomes_four_and_its_neighbours_two(ball: trimesh.Trimesh) -> None:
    chosen = np.zeros(len(ball.faces), bool)
    chosen[7] = True
    vertices, faces = split_faces(ball.vertices, ball.faces, chosen)
    assert (len(vertices), len(faces)) == (len(ball.vertices) + 3, len(ball.faces) + 3 + 3)
    areas = trimesh.Trimesh(vertices, faces, process=False).area_faces
    assert np.isclose(areas, ball.area_faces[7] / 4).sum() == 4


def test_all_faces_are_cut_in_four_alike(ball: trimesh.Trimesh) -> None:
    vertices, faces = split_faces(ball.vertices, ball.faces, np.ones(len(ball.faces), bool))
    known = trimesh.remesh.subdivide(ball.vertices, ball.faces)
    assert (len(vertices), len(faces)) == (len(known[0]), len(known[1]))
    assert np.allclose(np.sort(trimesh.Trimesh(vertices, faces, process=False).area_faces), np.sort(trimesh.Trimesh(*known, process=False).area_faces))
