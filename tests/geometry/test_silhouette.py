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


def test_what_is_far_from_any_surface_is_not_made_up() -> None:
    coverage = mask_of(leg())
    coverage[100:140, :] = 1  # a beam as wide as the picture
    wide = filled(leg(), coverage)
    assert RADIUS + 0.5 * REACH_NDC < np.abs(wide.vertices[:, 0]).max() < RADIUS + REACH_NDC + 0.02


def test_no_shreds_between_a_near_and_a_far_part() -> None:
    apart = leg((-0.23, -0.2), behind=0.5)
    mended = filled(apart, mask_of(leg()))
    assert mended.body_count == 2


def test_without_a_hit_nothing_changes() -> None:
    own = surface(leg())
    assert fill_silhouette(leg(), np.zeros((64, 64), np.float32), own.vertices, own.faces)(np.zeros((1, 3), np.float32)) == leg()(np.zeros((1, 3), np.float32))
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (2000, 3)).astype(np.float32)
    whole = fill_silhouette(leg(), mask_of(leg()), own.vertices, own.faces)(points)
    differs = np.abs(whole - leg()(points)) > 0.01
    assert np.abs(np.abs(points[differs, 0]) - RADIUS).max(initial=0) < 2 * THINNEST_NDC + 0.02  # only at the outline


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
