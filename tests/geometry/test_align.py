"""Registration finds back what a mesh was moved by."""

import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.align import Transform, fit_points, register
from ncpifu_cli.geometry.camera import rotation_x, rotation_y
from ncpifu_cli.geometry.metrics import SurfaceTree


def figure() -> tuple[np.ndarray, np.ndarray]:
    """Three boxes of a figure that no turn maps onto itself."""
    parts = []
    for extents, centre in (((0.4, 1.4, 0.25), (0, 0, 0)), ((0.7, 0.15, 0.15), (0.4, 0.4, 0)), ((0.15, 0.15, 0.4), (-0.1, 0.1, 0.3))):
        box = trimesh.creation.box(extents=extents)
        box.apply_translation(centre)
        parts.append(box.subdivide())
    mesh = trimesh.util.concatenate(parts)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def test_fit_recovers_a_similarity_and_never_reflects() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3))
    moved = Transform(1.7, rotation_x(40) @ rotation_y(-120), np.array([1.0, -2, 3]))
    found = fit_points(points, moved.apply(points), with_scale=True)
    assert found.scale == pytest.approx(1.7)
    np.testing.assert_allclose(found.rotation, moved.rotation, atol=1e-9)
    np.testing.assert_allclose(found.undo(moved.apply(points)), points, atol=1e-9)
    mirrored = fit_points(points, points * [-1, 1, 1], with_scale=True)
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1)
    assert fit_points(points, 2 * points, with_scale=False).scale == 1


def test_angle_of_a_rotation() -> None:
    assert Transform(1, rotation_y(-30), np.zeros(3)).angle_deg == pytest.approx(30)


@pytest.mark.parametrize(("with_scale", "scale"), [(True, 100.0), (True, 0.9), (False, 1.0)])
def test_registration_lays_a_moved_mesh_back(with_scale: bool, scale: float) -> None:
    vertices, faces = figure()
    moved = (vertices @ rotation_y(8).T @ rotation_x(-3).T + [0.05, -0.04, 0.06]) * scale
    found = register(SurfaceTree(moved, faces), SurfaceTree(vertices, faces), with_scale, np.random.default_rng(1))
    assert found.scale == pytest.approx(1 / scale, rel=0.01)
    assert np.linalg.norm(found.apply(moved) - vertices, axis=1).max() < 0.01


def test_with_scale_a_part_does_not_shrink_onto_the_whole() -> None:
    vertices, faces = figure()
    noisy = vertices + np.random.default_rng(2).normal(scale=0.02, size=vertices.shape)
    found = register(SurfaceTree(noisy, faces), SurfaceTree(vertices, faces), True, np.random.default_rng(1))
    assert found.scale == pytest.approx(1, abs=0.03)
