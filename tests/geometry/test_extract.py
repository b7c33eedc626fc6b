"""Surface extraction against brute force, and what thin, small, cut and absent shapes come out as."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.extract import EmptySurface, extract_surface, largest_components, linear_in_logit, without_cavities

Field = Callable[[NDArray[np.float32]], NDArray[np.float32]]
CYLINDER_RADIUS_NDC = 0.015 / 1.024  # 3 cm thick


def brute_force(field: Field, resolution: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Marching cubes on every sample, padded with outside."""
    centres = ((np.arange(resolution) + 0.5) * 2 / resolution - 1).astype(np.float32)
    volume = np.zeros((resolution + 2,) * 3, np.float32)
    for index, x in enumerate(centres):
        plane = np.stack(np.meshgrid(x, centres, centres, indexing="ij"), axis=-1).reshape(-1, 3)
        volume[index + 1, 1:-1, 1:-1] = field(plane).reshape(resolution, resolution)
    vertices, faces, _, _ = marching_cubes(volume, 0.5, gradient_direction="ascent")
    return (vertices - 0.5) * 2 / resolution - 1, faces


def signed_volume(vertices: NDArray[np.floating], faces: NDArray[np.int32]) -> float:
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def edge_use(faces: NDArray[np.int32]) -> NDArray[np.int64]:
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def capsule(start: NDArray[np.floating], end: NDArray[np.floating], radius: float) -> Field:
    """Soft occupancy of a capsule in NDC."""

    def occupancy(points: NDArray[np.float32]) -> NDArray[np.float32]:
        axis = end - start
        along = np.clip((points - start) @ axis / max(float(axis @ axis), 1e-12), 0, 1)
        distance = np.linalg.norm(points - start - along[:, None] * axis, axis=1) - radius
        return np.clip(0.5 - 30 * distance, 0, 1).astype(np.float32)

    return occupancy


def ball(centre: tuple[float, float, float], radius: float) -> Field:
    return capsule(np.array(centre), np.array(centre), radius)


def union(*fields: Field) -> Field:
    return lambda points: np.max([field(points) for field in fields], axis=0)


def metaballs(seed: int) -> Field:
    rng = np.random.default_rng(seed)
    centres, widths = rng.uniform(-0.6, 0.6, (9, 3)), rng.uniform(0.1, 0.25, 9)

    def occupancy(points: NDArray[np.float32]) -> NDArray[np.float32]:
        squared = ((points[:, None].astype(np.float64) - centres) ** 2).sum(-1)
        return (1 / (1 + np.exp(-12 * (np.exp(-squared / (2 * widths**2)).sum(-1) - 0.6)))).astype(np.float32)

    return occupancy


@pytest.mark.parametrize("seed", range(5))
def test_same_mesh_as_brute_force(seed: int) -> None:
    vertices, faces = brute_force(metaballs(seed), 72)
    surface = extract_surface(metaballs(seed), 72)
    np.testing.assert_array_equal(surface.faces, faces)
    np.testing.assert_allclose(surface.vertices, vertices, atol=1e-6)
    assert surface.vertices.dtype == np.float32
    assert surface.faces.dtype == np.int32


@pytest.mark.parametrize("resolution", [3, 7, 33, 130])
def test_any_resolution(resolution: int) -> None:
    field = ball((0.05, -0.1, 0.02), 0.62)
    vertices, faces = brute_force(field, resolution)
    surface = extract_surface(field, resolution)
    np.testing.assert_array_equal(surface.faces, faces)
    np.testing.assert_allclose(surface.vertices, vertices, atol=1e-6)


def test_chunk_size_changes_nothing() -> None:
    reference = extract_surface(metaballs(7), 64)
    calls: list[int] = []

    def counting(points: NDArray[np.float32]) -> NDArray[np.float32]:
        calls.append(len(points))
        return metaballs(7)(points)

    other = extract_surface(counting, 64, chunk_points=1013)
    assert max(calls) <= 1013
    assert sum(calls) == other.queried == reference.queried
    np.testing.assert_array_equal(other.vertices, reference.vertices)
    np.testing.assert_array_equal(other.faces, reference.faces)


@pytest.mark.parametrize("seed", range(12))
def test_a_thin_cylinder_survives_anywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    direction = np.eye(3)[seed] if seed < 3 else rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    centre = rng.uniform(-0.5, 0.5, 3)
    ends = centre - 0.15 * direction, centre + 0.15 * direction
    surface = extract_surface(capsule(*ends, CYLINDER_RADIUS_NDC), 256)
    along = (surface.vertices - ends[0]) @ direction
    assert along.min() < 0
    assert along.max() > 0.3
    assert (edge_use(surface.faces) == 2).all()
    exact = np.pi * CYLINDER_RADIUS_NDC**2 * (0.3 + 4 / 3 * CYLINDER_RADIUS_NDC)
    assert signed_volume(surface.vertices, surface.faces) == pytest.approx(exact, rel=0.15)


def test_fingers_on_a_body_survive() -> None:
    fingers = [capsule(np.array([0.2, 0.1 * k, 0.0]), np.array([0.5, 0.1 * k + 0.03, 0.02 * k]), 0.008) for k in range(-2, 3)]
    surface = extract_surface(union(ball((0, 0, 0), 0.32), *fingers), 256)
    tips = surface.vertices[surface.vertices[:, 0] > 0.49]
    assert len(np.unique(np.round(tips[:, 1] / 0.1))) == 5
    assert len(largest_components(surface.vertices, surface.faces)[0]) == len(surface.vertices)


def test_two_pieces_and_the_largest_of_them() -> None:
    both = union(ball((-0.5, 0.3, 0), 0.3), ball((0.6, -0.4, 0.2), 0.1))
    surface = extract_surface(both, 64)
    vertices, faces = largest_components(surface.vertices, surface.faces)
    assert vertices[:, 0].max() < 0
    assert signed_volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.02)
    kept, _ = largest_components(surface.vertices, surface.faces, keep=5)
    assert len(kept) == len(surface.vertices)
    kept, _ = largest_components(surface.vertices, surface.faces, keep=5, min_fraction=0.3)
    assert len(kept) == len(vertices)


def test_a_hollow_keeps_its_inner_wall() -> None:
    outer, inner = ball((0, 0, 0), 0.6), ball((0, 0, 0), 0.3)
    surface = extract_surface(lambda points: np.minimum(outer(points), 1 - inner(points)), 64)
    assert signed_volume(surface.vertices, surface.faces) == pytest.approx(4 / 3 * np.pi * (0.6**3 - 0.3**3), rel=0.02)


def test_cut_by_the_box_is_closed() -> None:
    half = ball((0, -1, 0), 0.5)
    vertices, faces = brute_force(half, 64)
    surface = extract_surface(half, 64)
    np.testing.assert_array_equal(surface.faces, faces)
    np.testing.assert_allclose(surface.vertices, vertices, atol=1e-6)
    assert (edge_use(surface.faces) == 2).all()
    assert surface.vertices.min() >= -1


def test_full_box() -> None:
    surface = extract_surface(lambda points: np.ones(len(points), np.float32), 32)
    assert signed_volume(surface.vertices, surface.faces) == pytest.approx(8, rel=0.01)


def test_bounds_do_not_move_the_samples() -> None:
    field = ball((0.1, 0.2, -0.1), 0.3)
    whole = extract_surface(field, 100)
    tight = extract_surface(field, 100, bounds=((-0.25, -0.15, -0.45), (0.45, 0.55, 0.25)))
    np.testing.assert_array_equal(tight.faces, whole.faces)
    np.testing.assert_allclose(tight.vertices, whole.vertices, atol=1e-6)


def test_silhouette_saves_points_and_is_pixel_aligned() -> None:
    pair = union(ball((-0.5, 0.5, 0), 0.2), ball((0.5, -0.5, 0), 0.2))
    valid = np.zeros((128, 128), bool)
    valid[:64, :64] = True  # image top left: x < 0, y > 0
    asked: list[NDArray[np.float32]] = []

    def recording(points: NDArray[np.float32]) -> NDArray[np.float32]:
        asked.append(points)
        return pair(points)

    surface = extract_surface(recording, 64, valid=valid, margin_ndc=3 * 2 / 128)
    points = np.concatenate(asked)
    assert points[:, 0].max() < 3 * 2 / 128
    assert points[:, 1].min() > -3 * 2 / 128
    alone = extract_surface(ball((-0.5, 0.5, 0), 0.2), 64)
    np.testing.assert_array_equal(surface.faces, alone.faces)


def test_nothing_inside_is_an_error_with_a_hint() -> None:
    with pytest.raises(EmptySurface) as caught:
        extract_surface(lambda points: np.full(len(points), 0.2, np.float32), 32)
    assert caught.value.hint
    with pytest.raises(EmptySurface):
        extract_surface(ball((0, 0, 0), 0.5), 32, valid=np.zeros((16, 16), bool))


def test_a_broken_network_is_an_error() -> None:
    with pytest.raises(NcpifuError, match="NaN"):
        extract_surface(lambda points: np.full(len(points), np.nan, np.float32), 32)
    with pytest.raises(ValueError, match="must answer"):
        extract_surface(lambda points: np.zeros((len(points), 1), np.float32), 32)


def test_memory_at_512() -> None:
    """A dense float32 volume alone would be 512 MB, dense coordinates 1.5 GB."""
    field = union(ball((0, 0, 0), 0.25), capsule(np.array([-0.6, -0.6, 0]), np.array([0.6, 0.6, 0]), 0.05))
    tracemalloc.start()
    try:
        extract_surface(field, 512)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 500e6


def test_few_points_at_256() -> None:
    """A body of a person's surface: capsules for trunk, head, arms and legs."""
    parts = [((0, 0.05, 0), (0, 0.45, 0), 0.14), ((0, 0.68, 0), (0, 0.74, 0), 0.09)]
    for side in (-1, 1):
        parts += [((side * 0.15, 0.45, 0), (side * 0.5, 0.0, 0.05), 0.045), ((side * 0.08, 0.0, 0), (side * 0.13, -0.85, 0), 0.07)]
    body = union(*(capsule(np.array(a), np.array(b), radius) for a, b, radius in parts))
    surface = extract_surface(body, 256)
    assert surface.queried <= 200_000
    vertices, faces = largest_components(surface.vertices, surface.faces)
    assert len(vertices) == len(surface.vertices)
    assert signed_volume(vertices, faces) > 0


def test_a_steep_occupancy_makes_no_terraces() -> None:
    def steep(points: NDArray[np.float32]) -> NDArray[np.float32]:
        inside_by = 0.5 - np.linalg.norm(points, axis=1).astype(np.float64)
        return (1 / (1 + np.exp(-inside_by * 400))).astype(np.float32)  # from 0.02 to 0.98 within 0.02, less than a cell

    errors = []
    for field in (steep, linear_in_logit(steep)):
        surface = extract_surface(field, 64)
        errors.append(np.abs(np.linalg.norm(surface.vertices, axis=1) - 0.5).mean())
    assert errors[1] < 0.1 * errors[0]


def test_settled_vertices_lie_where_the_function_says() -> None:
    """Its slope differs inside and outside, so that straight lines between samples miss the level."""

    def bent(points: NDArray[np.float32]) -> NDArray[np.float32]:
        height = (0.101 + 0.05 * np.cos(2 * points[:, 0]) - points[:, 2]).astype(np.float64)
        return np.clip(0.5 + np.where(height > 0, height, 2 * height), 0, 1).astype(np.float32)

    bounds = ((-0.8, -0.8, -0.8), (0.8, 0.8, 0.8))
    plain, settled = (extract_surface(bent, 32, bounds=bounds, settle=settle) for settle in (False, True))
    np.testing.assert_array_equal(settled.faces, plain.faces)
    top = (np.abs(plain.vertices[:, :2]) < 0.7).all(axis=1) & (plain.vertices[:, 2] > 0)
    errors = [np.abs(0.101 + 0.05 * np.cos(2 * points[top, 0]) - points[top, 2]).mean() for points in (plain.vertices, settled.vertices)]
    assert errors[1] < errors[0] / 2
    np.testing.assert_array_equal(settled.vertices[~top & (plain.vertices[:, 2] < -0.7)], plain.vertices[~top & (plain.vertices[:, 2] < -0.7)])


def test_settling_stays_on_the_edges_of_the_grid() -> None:
    plain, settled = (extract_surface(metaballs(3), 64, settle=settle) for settle in (False, True))
    np.testing.assert_array_equal(settled.faces, plain.faces)
    moved = np.abs(settled.vertices - plain.vertices) * 32
    assert np.count_nonzero(moved > 1e-4, axis=1).max() == 1
    assert moved.max() < 1
    values = [np.abs(metaballs(3)(surface.vertices) - 0.5).mean() for surface in (plain, settled)]
    assert values[1] < values[0] / 4
    assert (edge_use(settled.faces) == 2).all()


def test_logits_change_neither_the_level_nor_certainty() -> None:
    probability = np.array([0, 1e-7, 0.1, 0.5, 0.9, 1], np.float32)
    even = linear_in_logit(lambda points: probability)(np.zeros((6, 3), np.float32))
    assert even[0] == 0 and even[1] == 0 and even[3] == pytest.approx(0.5, abs=2e-3) and even[5] == 1
    assert even[2] == pytest.approx(1 - even[4], abs=1e-6)


def test_vertices_around_a_corner_on_the_level_stay_apart() -> None:
    def on_corners(points: NDArray[np.float32]) -> NDArray[np.float32]:
        height = 33 / 64 - np.abs(points.astype(np.float64)).sum(axis=1)  # an octahedron that passes through corners of cells
        return (1 / (1 + np.exp(-height * 40))).astype(np.float32)

    merged = []
    for field in (on_corners, linear_in_logit(on_corners)):
        surface = extract_surface(field, 64)
        merged.append(len(surface.vertices) - len(np.unique(surface.vertices, axis=0)))
    assert merged[0] > 100
    assert merged[1] == 0


def test_walls_of_hollows_go_and_separate_pieces_stay() -> None:
    body, hollow, beside = ball((-0.3, 0, 0), 0.4), ball((-0.3, 0, 0), 0.2), ball((0.5, 0, 0), 0.2)

    def field(points: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.maximum(np.minimum(body(points), 1 - hollow(points)), beside(points))

    surface = extract_surface(field, 64)
    vertices, faces = without_cavities(surface.vertices, surface.faces)
    assert len(faces) < len(surface.faces)
    assert set(edge_use(faces)) == {2}
    radii = np.linalg.norm(vertices - np.float32([-0.3, 0, 0]), axis=1)
    assert (radii > 0.35).all()
    assert (vertices[:, 0] > 0.6).any()
    assert signed_volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * (0.4**3 + 0.2**3), rel=0.03)
