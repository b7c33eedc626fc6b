"""Checks of a mesh on closed, open, split and crossing surfaces."""

import igl
import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.mesh_health import crossing_faces, largest_component, mesh_health, mesh_problem, move_uncrossed


def sphere(subdivisions: int = 2, centre: tuple[float, float, float] = (0, 0, 0)) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.5)
    return np.asarray(mesh.vertices) + np.array(centre), np.asarray(mesh.faces)


def joined(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1] + len(first[0])])


def test_health_of_closed_open_and_split_meshes() -> None:
    vertices, faces = sphere(subdivisions=2)
    whole = mesh_health(vertices, faces)
    assert (whole.watertight, whole.components, whole.problem) == (True, 1, "")
    assert not mesh_health(vertices, faces[1:]).watertight
    flipped = faces.copy()
    flipped[0] = flipped[0, ::-1]
    assert not mesh_health(vertices, flipped).watertight
    two = mesh_health(np.concatenate([vertices, vertices + 2]), np.concatenate([faces, faces + len(vertices)]))
    assert (two.watertight, two.components) == (True, 2)
    seams = mesh_health(vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3))
    assert (seams.watertight, seams.components, seams.vertices) == (True, 1, len(vertices))


@pytest.mark.parametrize(
    ("vertices", "faces", "problem"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), int), "empty mesh"),
        (np.array([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]]), np.array([[0, 1, 2]]), "vertices that are not finite"),
        (np.eye(3), np.array([[0, 1, 3]]), "faces that name missing vertices"),
        (np.zeros((3, 3)), np.array([[0, 1, 2]]), "surface without area"),
    ],
)
def test_health_names_what_cannot_be_scored(vertices: np.ndarray, faces: np.ndarray, problem: str) -> None:
    assert mesh_health(vertices, faces).problem == problem
    assert mesh_problem(vertices, faces) == problem


def test_a_closed_surface_does_not_cross_itself_and_two_spheres_do() -> None:
    assert mesh_health(*sphere(3)).crossing_faces == 0
    vertices, faces = joined(sphere(3), sphere(3, (0.3, 0.013, 0.027)))
    crossing = crossing_faces(vertices, faces)
    assert mesh_health(vertices, faces).crossing_faces == crossing.sum() > 50
    # All of them lie near the circle in which the two spheres meet.
    middle = vertices[faces].mean(axis=1)[crossing]
    assert np.abs(np.linalg.norm(middle, axis=1) - 0.5).max() < 0.04
    assert np.abs(np.linalg.norm(middle - [0.3, 0.013, 0.027], axis=1) - 0.5).max() < 0.04


def test_crossings_agree_with_libigl_pair_by_pair() -> None:
    rng = np.random.default_rng(3)
    corners = rng.random((60, 1, 3)) * 2 + rng.normal(scale=0.4, size=(60, 3, 3))
    vertices, faces = corners.reshape(-1, 3), np.arange(180).reshape(-1, 3)
    expected = np.zeros(60, bool)
    for i in range(60):
        for j in range(i):
            if igl.tri_tri_intersection_test_3d(*corners[i][:, None], *corners[j][:, None])[0]:
                expected[[i, j]] = True
    assert 10 < expected.sum() < 60
    np.testing.assert_array_equal(crossing_faces(vertices, faces), expected)


def test_the_largest_component_is_kept() -> None:
    vertices, faces = joined(sphere(1, (3, 0, 0)), sphere(2))
    np.testing.assert_array_equal(largest_component(vertices, faces), np.repeat([False, True], [80, 320]))


def test_vertices_move_as_told_but_where_faces_would_cut_through_each_other() -> None:
    first, second = sphere(3), sphere(3, centre=(1.2, 0, 0))
    vertices, faces = joined(first, second)
    moves = np.zeros_like(vertices)
    moves[: len(first[0])] = (0.05, 0, 0)  # there is room
    assert np.array_equal(move_uncrossed(vertices, moves, faces), vertices + moves)
    moves[: len(first[0])] = (0.3, 0, 0)  # here is none
    moved = move_uncrossed(vertices, moves, faces)
    assert crossing_faces(vertices + moves, faces).any()
    assert not crossing_faces(moved, faces).any()
    far = (vertices[:, 0] < -0.2) | (vertices[:, 0] > 1.4)
    assert np.array_equal(moved[far], (vertices + moves)[far])
