"""Smoothing keeps the volume, decimation keeps the surface closed."""

import numpy as np
import trimesh

from ncpifu_cli.geometry.finish import decimate, smooth


def rough_ball() -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(4, 0.5)
    ball.vertices *= 1 + np.random.default_rng(0).normal(0, 0.01, (len(ball.vertices), 1))
    return ball


def test_smoothing_flattens_noise_and_keeps_the_volume() -> None:
    ball = rough_ball()
    moved = smooth(ball.vertices, ball.faces, 10)
    assert np.linalg.norm(moved, axis=1).std() < 0.4 * np.linalg.norm(ball.vertices, axis=1).std()
    assert abs(trimesh.Trimesh(moved, ball.faces).volume / ball.volume - 1) < 0.01
    assert np.array_equal(smooth(ball.vertices, ball.faces, 0), ball.vertices)


def test_decimation_is_closed_and_near_the_surface() -> None:
    ball = trimesh.creation.icosphere(4, 0.5)
    vertices, faces = decimate(ball.vertices, ball.faces, 500)
    small = trimesh.Trimesh(vertices, faces, process=False)
    assert 400 < len(faces) <= 500
    assert small.is_watertight
    assert small.volume > 0
    assert np.abs(np.linalg.norm(vertices, axis=1) - 0.5).max() < 0.02
    assert len(decimate(ball.vertices, ball.faces, 10**6)[1]) == len(ball.faces)


def test_two_sheets_that_touch_stay_two() -> None:
    """Two balls that nearly touch: an edge with four faces would be no surface to print."""
    left, right = trimesh.creation.icosphere(4, 0.5), trimesh.creation.icosphere(4, 0.5)
    right.apply_translation((0.999, 0, 0))
    both = trimesh.util.concatenate([left, right])
    vertices, faces = decimate(both.vertices, both.faces, 300)
    assert trimesh.Trimesh(vertices, faces, process=False).is_watertight
