"""Where the mask shows a person and the network nothing, the surface beside it goes on; beside the mask there is nothing."""

import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.extract import extract_surface, linear_in_logit
from ncpifu_cli.geometry.raster import rasterise
from ncpifu_cli.geometry.sampled_field import Occupancy, Remembered
from ncpifu_cli.geometry.silhouette import REACH_NDC, THINNEST_NDC, fill_silhouette

RADIUS = 0.08
R = 128


def leg(missing: tuple[float, float] = (0, 0), radius: float = RADIUS, behind: float = 0.0) -> Occupancy:
    """A vertical cylinder about (0, 0, 0.1) without the heights `missing`; below them it stands `behind` further back."""

    def field(points: np.ndarray) -> np.ndarray:
        axis = np.where(points[:, 1] < missing[0], 0.1 - behind, 0.1)
        around = np.hypot(points[:, 0], points[:, 2] - axis) - radius
        gap = np.minimum(points[:, 1] - missing[0], missing[1] - points[:, 1])
        return (1 / (1 + np.exp(np.clip(300 * np.maximum(np.maximum(around, gap), np.abs(points[:, 1]) - 0.7), -50, 50)))).astype(np.float32)

    return field


def mask_of(field: Occupancy, size: int = 256) -> np.ndarray:
    mesh = surface(field)
    return rasterise(np.asarray(mesh.vertices, np.float32), mesh.faces, size).mask.astype(np.float32)


def surface(field: Occupancy) -> trimesh.Trimesh:
    found = extract_surface(linear_in_logit(field), R)
    return trimesh.Trimesh(found.vertices, found.faces, process=False)


def filled(field: Occupancy, coverage: np.ndarray) -> trimesh.Trimesh:
    own = surface(field)
    return surface(fill_silhouette(field, coverage, own.vertices, own.faces))


def same_pixels(mesh: trimesh.Trimesh, coverage: np.ndarray) -> float:
    shown = rasterise(np.asarray(mesh.vertices, np.float32), mesh.faces, len(coverage)).mask
    return float((shown & (coverage > 0.5)).sum() / (shown | (coverage > 0.5)).sum())


def test_a_torn_leg_is_mended_where_it_is() -> None:
    torn, coverage = leg((-0.3, -0.2)), mask_of(leg())
    assert surface(torn).body_count == 2
    mended = filled(torn, coverage)
    assert mended.body_count == 1 and mended.is_watertight
    assert same_pixels(mended, coverage) > 0.97 > same_pixels(surface(torn), coverage)
    bridge = mended.vertices[np.abs(mended.vertices[:, 1] + 0.25) < 0.03]
    assert bridge[:, 2].mean() == pytest.approx(0.1, abs=0.01)
    assert 0.6 * RADIUS < np.ptp(bridge[:, 2]) / 2 < 1.1 * RADIUS


def test_a_thin_limb_grows_to_its_outline_and_not_beyond() -> None:
    thin, coverage = leg(radius=RADIUS - 0.02), mask_of(leg())
    grown = filled(thin, coverage)
    assert same_pixels(grown, coverage) > 0.95 > same_pixels(surface(thin), coverage)
    assert np.abs(grown.vertices[:, 0]).max() < RADIUS + 0.01


def test_beside_the_mask_there_is_nothing() -> None:
    narrow = mask_of(leg(radius=RADIUS - 0.02))
    assert same_pixels(filled(leg(), narrow), narrow) > 0.95


def test_a_surface_goes_on_for_so_far_at_most() -> None:
    coverage = mask_of(leg())
    coverage[100:140, :] = 1  # a beam as wide as the picture
    wide = filled(leg(), coverage)
    assert RADIUS + 0.5 * REACH_NDC < np.abs(wide.vertices[:, 0]).max() < RADIUS + REACH_NDC + 0.02


def test_no_shreds_between_a_near_and_a_far_part() -> None:
    apart = leg((-0.23, -0.2), behind=0.5)
    mended = filled(apart, mask_of(leg()))
    assert mended.body_count == 2


def test_without_a_hit_nothing_changes() -> None:
    own, field = surface(leg()), leg()
    assert fill_silhouette(field, np.zeros((64, 64), np.float32), own.vertices, own.faces) is field


def test_only_the_rim_of_a_whole_surface_changes() -> None:
    own, points = surface(leg()), np.random.default_rng(0).uniform(-1, 1, (20_000, 3)).astype(np.float32) * np.array([0.15, 0.6, 0.3], np.float32)
    differs = np.abs(fill_silhouette(leg(), mask_of(leg()), own.vertices, own.faces)(points) - leg()(points)) > 0.01
    assert differs.any()
    assert np.abs(np.abs(points[differs, 0]) - RADIUS).max() < 0.02


def moved(field: Occupancy, by: float) -> Occupancy:
    return lambda points: field((points - np.array([0, 0, by])).astype(np.float32))


def test_the_filling_is_round_and_the_same_at_any_depth() -> None:
    """The mask of a thicker leg: half a thickness r before the rim is about the square root of 2 r times the distance."""
    thin, coverage = leg(radius=RADIUS - 0.012), mask_of(leg())
    across = np.linspace(-RADIUS, RADIUS, 161, dtype=np.float32)
    profiles = []
    for by in (-0.1, 0.4):  # the leg stands at 0.1
        own = surface(moved(thin, by))
        whole = fill_silhouette(moved(thin, by), coverage, own.vertices, own.faces)
        z = np.linspace(0, 0.2, 401, dtype=np.float32) + np.float32(by)
        points = np.stack(np.broadcast_arrays(across[:, None], np.float32(0.1), z), axis=2)
        profiles.append((whole(points.reshape(-1, 3)).reshape(161, 401) > 0.5).sum(axis=1) * 0.0005 / 2)
    assert np.abs(profiles[0] - profiles[1]).max() < 0.002
    beside = np.abs(across) > RADIUS - 0.01
    distance = RADIUS - np.abs(across)
    assert (profiles[0][beside & (distance > 0.003)] > 0.5 * THINNEST_NDC).all()
    assert (profiles[0][beside] < np.sqrt(2 * RADIUS * np.maximum(distance[beside], 0.004)) + 0.004).all()
    assert profiles[0][80] == pytest.approx(RADIUS - 0.012, abs=0.002)


def test_a_pinhole_in_the_mask_is_no_tunnel_and_a_hole_is_one() -> None:
    wide = leg(radius=0.2)
    for side, tunnels in ((2, 0), (12, 1)):
        coverage = mask_of(wide)
        coverage[128 : 128 + side, 128 : 128 + side] = 0
        assert 1 - filled(wide, coverage).euler_number / 2 == tunnels


def test_a_piece_of_the_mask_beside_the_person_stays_empty() -> None:
    coverage = mask_of(leg())
    coverage[60:200, 128 + 16 : 128 + 24] = 1  # 4 cm beside the leg
    assert np.abs(filled(leg(), coverage).vertices[:, 0]).max() < RADIUS + 0.01


def test_a_remembered_function_is_asked_once_at_samples_and_always_between_them() -> None:
    asked: list[int] = []

    def counted(points: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return leg()(points)

    known = Remembered(counted, R)
    first = extract_surface(known, R)
    once = sum(asked)
    assert 0 < once <= first.queried
    again = extract_surface(known, R)
    assert sum(asked) == once and np.array_equal(first.vertices, again.vertices)
    between = np.full((3, 3), 0.1, np.float32)
    assert np.array_equal(known(between), leg()(between)) and np.array_equal(known(between), leg()(between))
    assert asked[-2:] == [3, 3]
    assert known(np.array([[5.0, 0, 0]], np.float32)) == leg()(np.array([[5.0, 0, 0]], np.float32))


def bar(half_width: float, half_depth: np.ndarray | float, slope: float = 0.0) -> Occupancy:
    """An upright bar of so much depth, or a wedge that is thin at its edges."""

    def field(points: np.ndarray) -> np.ndarray:
        reach = half_depth - slope * np.abs(points[:, 0])
        outside = np.maximum(np.maximum(np.abs(points[:, 0]) - half_width, np.abs(points[:, 2]) - reach), np.abs(points[:, 1]) - 0.7)
        return (1 / (1 + np.exp(np.clip(300 * outside, -50, 50)))).astype(np.float32)

    return field


def half_thickness(field: Occupancy, coverage: np.ndarray, x: float) -> float:
    own, z = surface(field), np.linspace(0, 0.2, 401, dtype=np.float32)
    points = np.stack(np.broadcast_arrays(np.float32(x), np.float32(0.1), z), axis=1)
    return float((fill_silhouette(field, coverage, own.vertices, own.faces)(points) > 0.5).sum() * 0.0005)


def test_a_thick_bar_is_continued_with_a_round_rim() -> None:
    thick, coverage = bar(0.1, 0.06), mask_of(bar(0.13, 0.06))
    assert half_thickness(thick, coverage, 0.11) > 0.035
    assert half_thickness(thick, coverage, 0.124) < 0.03


def test_a_thin_edge_is_continued_all_the_same() -> None:
    assert half_thickness(bar(0.1, 0.03, slope=0.3), mask_of(bar(0.12, 0.06)), 0.11) > 0.5 * THINNEST_NDC
