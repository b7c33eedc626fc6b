import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry import surface
from ncpifu_cli.geometry.inside import InsideTest


def ball(radius: float) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(4, radius)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def nested(outer: float, inner: float) -> tuple[np.ndarray, np.ndarray]:
    (va, fa), (vb, fb) = ball(outer), ball(inner)
    return np.r_[va, vb], np.r_[fa, fb + len(va)]


def test_surface_samples_are_on_the_surface_and_uniform_by_area() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 5], [3, 0, 5], [0, 3, 5]], float)
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    sampled = surface.sample_surface(vertices, faces, 20_000, np.random.default_rng(0))
    assert (sampled.face == 1).mean() == pytest.approx(0.9, abs=0.01)
    np.testing.assert_allclose(sampled.points[:, 2], np.where(sampled.face == 1, 5, 0), atol=1e-9)
    np.testing.assert_allclose(sampled.barycentric.sum(axis=1), 1)
    small = sampled.points[sampled.face == 0]
    np.testing.assert_allclose(small[:, :2].mean(axis=0), 1 / 3, atol=0.02)  # uniform inside the triangle, too


def test_only_the_outermost_surface_is_sampled() -> None:
    vertices, faces = nested(1.0, 0.7)
    sampled = surface.sample_outer_surface(vertices, faces, InsideTest(vertices, faces), 3000, np.random.default_rng(0))
    assert len(sampled.points) == 3000
    assert (np.linalg.norm(sampled.points, axis=1) > 0.95).all()
    np.testing.assert_allclose(sampled.points, np.einsum("nk,nkd->nd", sampled.barycentric, vertices[faces[sampled.face]]))


def test_a_surface_wound_inside_out_is_refused() -> None:
    vertices, faces = ball(1.0)
    inverted = faces[:, ::-1]
    # Seen from its normals, an inverted ball has winding number -1 inside: sampling sees "outwards" everywhere, labels must not.
    assert not InsideTest(vertices, inverted).inside(np.zeros((1, 3)))[0]
    vertices, faces = nested(1.0, 0.7)
    hidden = faces[len(faces) // 2 :]
    with pytest.raises(ValueError, match="faces outwards"):
        surface.sample_outer_surface(vertices, hidden, InsideTest(vertices, faces), 100, np.random.default_rng(0))


def test_no_area_is_refused() -> None:
    with pytest.raises(ValueError, match="no surface area"):
        surface.sample_surface(np.zeros((3, 3)), np.array([[0, 1, 2]]), 10, np.random.default_rng(0))


def test_near_points_use_each_base_equally_with_the_given_sigma() -> None:
    base = np.array([[0.0, 0, 0], [10.0, 0, 0]])
    near = surface.sample_near(base, 40_000, np.random.default_rng(0))
    second = near[:, 0] > 5
    assert second.sum() == 20_000
    offsets = np.where(second[:, None], near - base[1], near)
    np.testing.assert_allclose(offsets.std(axis=0), surface.SIGMA_M, rtol=0.02)
    assert 0.45 < second[:1000].mean() < 0.55  # in random order


def test_uniform_points_fill_the_cube() -> None:
    points = surface.sample_uniform(20_000, np.random.default_rng(0))
    assert abs(points).max() <= 1.024
    np.testing.assert_allclose(points.std(axis=0), 2.048 / np.sqrt(12), rtol=0.02)


def test_vertex_normals_of_a_ball_point_outwards() -> None:
    vertices, faces = ball(2.0)
    normals = surface.vertex_normals(np.r_[vertices, [[9, 9, 9]]], faces)
    np.testing.assert_allclose(normals[:-1], vertices / 2, atol=0.01)
    assert normals[-1].tolist() == [0, 1, 0]
