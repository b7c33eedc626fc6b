import numpy as np
from stick_figure import grid, tube

from ncpifu_cli.synth.topology import (
    boundary_edges,
    boundary_loops,
    catmull_clark,
    facing_outwards,
    largest_component,
    neighbour_mean,
    straight_triples,
    submesh,
    triangulate,
    unique_edges,
    vertex_normals,
)


def test_subdivision_keeps_flat_things_flat_and_open_rims_in_place() -> None:
    vertices, quads = grid(6)
    step = catmull_clark(quads, len(vertices))
    fine = step.matrix @ vertices
    assert len(step.quads) == 4 * len(quads)
    assert np.allclose(np.asarray(step.matrix.sum(axis=1)), 1)
    assert np.abs(fine[:, 2]).max() < 1e-12
    middle_of_edge = np.abs(fine[:, 0] - 0.5) < 1e-9
    assert middle_of_edge.sum() == 2 * 6 + 1 - 2  # the corners are rounded off, nothing else leaves the rim


def test_subdivision_smooths_towards_the_limit() -> None:
    vertices, quads = tube(8, 4)
    step = catmull_clark(quads, len(vertices))
    radius = np.linalg.norm((step.matrix @ vertices)[:, :2], axis=1)
    assert np.ptp(radius) < np.ptp([0.1 * np.cos(np.pi / 8), 0.1]) * 1.5
    assert np.array_equal((catmull_clark(quads, len(vertices), smooth=False).matrix @ vertices)[: len(vertices)], vertices)


def test_normals_of_subdivided_quads_keep_their_side() -> None:
    vertices, quads = tube(16, 4)
    step = catmull_clark(quads, len(vertices))
    fine = step.matrix @ vertices
    outwards = (vertex_normals(fine, triangulate(step.quads))[:, :2] * fine[:, :2]).sum(axis=1)
    assert (outwards > 0).all()


def test_boundaries_of_a_tube_are_two_loops_in_walking_order() -> None:
    _, quads = tube(12, 3)
    loops = boundary_loops(quads)
    assert sorted(len(loop) for loop in loops) == [12, 12]
    edges = {tuple(edge) for edge in boundary_edges(quads).tolist()}
    assert all((a, b) in edges for loop in loops for a, b in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True))


def test_largest_component_and_submesh() -> None:
    vertices, big = grid(4)
    small = grid(1)[1] + len(vertices)
    faces = np.concatenate([small, big])
    kept, ids = submesh(faces, largest_component(faces))
    assert len(kept) == 16
    assert ids.tolist() == list(range(25))


def test_straight_triples_are_straight_and_complete() -> None:
    vertices, quads = grid(5)
    triples = straight_triples(quads, len(vertices))
    assert len(triples) == 2 * 4 * 4  # two lines through each inner vertex
    a, middle, b = (vertices[triples[:, k]] for k in range(3))
    assert np.allclose((a + b) / 2, middle)


def test_neighbour_mean_averages_edges() -> None:
    vertices, quads = grid(2)
    mean = neighbour_mean(quads, len(vertices))
    assert np.allclose((mean @ vertices)[4], vertices[4])
    assert len(unique_edges(quads)) == 12


def test_facing_outwards_turns_inverted_solids() -> None:
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    right = facing_outwards(cube, faces)
    assert np.array_equal(facing_outwards(cube, right[:, ::-1].copy())[:, ::-1], right[:, ::-1]) or np.array_equal(
        facing_outwards(cube, right[:, ::-1].copy()), right
    )
    outwards = (vertex_normals(cube, right) * (cube - 0.5)).sum(axis=1)
    assert (outwards > 0).all()
