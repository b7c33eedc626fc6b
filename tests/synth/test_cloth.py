"""The solver on a sheet that falls onto a ball."""

import numpy as np
import pytest
from stick_figure import grid

from ncpifu_cli.synth.topology import straight_triples, triangulate, unique_edges

RADIUS_M = 0.15


@pytest.fixture(scope="module")
def fallen() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rest, positions after 60 frames, edges) of a 50 cm sheet dropped on a ball from 2 cm, its corner pinned to where it was."""
    import trimesh

    from ncpifu_cli.synth.cloth import Cloth, Collider, Pins, Springs, StepSettings

    sheet, quads = grid(20, 0.5)
    edges, triples = unique_edges(triangulate(quads)), straight_triples(quads, len(sheet))
    lengths = np.linalg.norm(sheet[edges[:, 0]] - sheet[edges[:, 1]], axis=1)
    spans = np.linalg.norm(sheet[triples[:, 0]] - sheet[triples[:, 2]], axis=1)
    springs = Springs.joined([Springs.of(edges, lengths, 2e-8), Springs.of(triples[:, [0, 2]], spans, 1e-6)])
    cloth = Cloth(sheet + np.array([0, 0, RADIUS_M + 0.02]), sheet, springs)
    cloth.pin(Pins(np.array([0]), np.array([0.5])), sheet[:1] + np.array([0, 0, RADIUS_M + 0.02]))
    ball = trimesh.creation.icosphere(subdivisions=4, radius=RADIUS_M)
    collider = Collider(np.asarray(ball.vertices), np.asarray(ball.faces, np.int64))
    settings = StepSettings(substeps=14, gravity=9.8, damping=0.98, friction=0.4, thickness_m=0.004, reach_m=0.06, self_radius_m=0.008)
    for _ in range(60):
        cloth.find_partners(collider, settings)
        cloth.frame(collider, settings)
    return sheet, cloth.positions, edges


def test_the_sheet_does_not_explode_or_stretch(fallen: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rest, positions, edges = fallen
    assert np.isfinite(positions).all()
    assert np.abs(positions).max() < 0.6
    before = np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=1)
    after = np.linalg.norm(positions[edges[:, 0]] - positions[edges[:, 1]], axis=1)
    assert np.quantile(np.abs(after / before - 1), 0.95) < 0.10


def test_the_sheet_stays_outside_the_ball_and_hangs_down(fallen: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, positions, _ = fallen
    assert np.linalg.norm(positions, axis=1).min() > RADIUS_M - 0.002
    assert positions[:, 2].min() < 0.1  # the free corners hang below the top of the ball
    assert positions[:, 2].max() > RADIUS_M  # and the middle lies on it


def test_a_pin_holds(fallen: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rest, positions, _ = fallen
    assert np.linalg.norm(positions[0] - (rest[0] + [0, 0, RADIUS_M + 0.02])) < 0.02


def test_cloth_lies_on_the_ground_and_does_not_slide() -> None:
    from ncpifu_cli.synth.cloth import Cloth, Collider, Springs, StepSettings

    sheet, quads = grid(8, 0.2)
    edges = unique_edges(triangulate(quads))
    lengths = np.linalg.norm(sheet[edges[:, 0]] - sheet[edges[:, 1]], axis=1)
    cloth = Cloth(sheet + np.array([0, 0, 0.02]), sheet, Springs.of(edges, lengths, 2e-8))
    far = np.array([[9.0, 9, 9], [9, 9.1, 9], [9.1, 9, 9]])
    collider = Collider(far, np.array([[0, 1, 2]]), ground_m=0.01)
    settings = StepSettings(substeps=8, gravity=9.8, damping=0.98, friction=0.4, thickness_m=0.004, reach_m=0.06, self_radius_m=0.008)
    for index in range(20):
        if index == 10:
            collider.move(far, ground_m=0.05)  # the ground rises, as it does under somebody who sits down
        cloth.find_partners(collider, settings)
        cloth.frame(collider, settings)
        if index >= 10:
            assert cloth.positions[:, 2].min() > 0.05 - 1e-6
    assert np.allclose(cloth.positions[:, :2], sheet[:, :2], atol=2e-3)


def test_coloured_batches_share_no_vertex_and_lose_no_edge() -> None:
    from ncpifu_cli.synth.cloth import color_edges

    _, quads = grid(12)
    pairs = unique_edges(triangulate(quads))
    color = color_edges(pairs, int(pairs.max()) + 1)
    assert (color >= 0).all()
    for value in np.unique(color):
        vertices = pairs[color == value].ravel()
        assert len(np.unique(vertices)) == len(vertices)
    assert color.max() < 16  # 8 edges meet at most: greedy stays near that


def test_push_out_moves_only_what_is_too_near() -> None:
    import trimesh

    from ncpifu_cli.synth.cloth import SurfaceQuery

    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.2)
    surface = SurfaceQuery(np.asarray(ball.vertices), np.asarray(ball.faces, np.int64))
    points = np.array([[0.15, 0, 0], [0.201, 0, 0], [0.4, 0, 0]])
    moved = surface.push_out(points, 0.01)
    assert np.allclose(np.linalg.norm(moved, axis=1), [0.21, 0.21, 0.4], atol=2e-3)
    assert surface.nearest(points, 0.08)[0].tolist() == [True, True, False]
