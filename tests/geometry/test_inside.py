import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.inside import InsideTest


def ball(centre: tuple[float, float, float] = (0, 0, 0), radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(4, radius)
    return np.asarray(mesh.vertices) + centre, np.asarray(mesh.faces)


def test_ball_labels_are_exact_away_from_its_facets() -> None:
    test = InsideTest(*ball())
    points = np.random.default_rng(0).uniform(-1.3, 1.3, (20_000, 3))
    radius = np.linalg.norm(points, axis=1)
    clear = abs(radius - 1) > 0.005
    assert (test.inside(points)[clear] == (radius < 1)[clear]).all()


def test_order_and_number_of_questions_do_not_matter() -> None:
    test = InsideTest(*ball())
    points = np.random.default_rng(1).normal(scale=0.8, size=(500, 3))
    together = test.winding(points)
    np.testing.assert_allclose(np.array([test.winding(p[None])[0] for p in points]), together, atol=1e-9)
    np.testing.assert_allclose(test.winding(points[::-1])[::-1], together, atol=1e-9)
    assert test.inside(np.zeros((0, 3))).shape == (0,)


def test_overlapping_parts_are_one_solid() -> None:
    (va, fa), (vb, fb) = ball(), ball((0.7, 0, 0))
    test = InsideTest(np.r_[va, vb], np.r_[fa, fb + len(va)])
    assert test.winding(np.array([[0.35, 0, 0]]))[0] == pytest.approx(2, abs=0.05)
    assert test.inside(np.array([[-0.5, 0, 0], [0.35, 0, 0], [1.2, 0, 0], [2, 0, 0]])).tolist() == [True, True, True, False]


def test_a_hole_and_duplicate_faces_do_not_flip_labels() -> None:
    vertices, faces = ball()
    top = vertices[faces].mean(axis=1)[:, 1] > 0.9
    holed = np.r_[faces[~top], faces[:30]]
    test = InsideTest(vertices, holed)
    points = np.random.default_rng(2).uniform(-0.55, 0.55, (2000, 3))
    assert test.inside(points).all()
    assert not test.inside(points + np.array([0, 2.2, 0])).any()


def test_refuses_a_mesh_without_faces() -> None:
    with pytest.raises(ValueError, match="at least one face"):
        InsideTest(np.zeros((3, 3)), np.zeros((0, 3), int))
