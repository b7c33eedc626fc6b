"""A limb that the network is unsure of keeps its thickness; what it is sure of stays where it is."""

import numpy as np
import pytest
import trimesh
from scipy.special import expit, ndtr

from ncpifu_cli.geometry.extract import extract_surface, linear_in_logit
from ncpifu_cli.geometry.raster import rasterise
from ncpifu_cli.geometry.sampled_field import Occupancy
from ncpifu_cli.geometry.thickness import keep_thickness

RADIUS, HEIGHT = 0.08, 0.7
R = 96


def leg(spread: float = 0.0, believed: float = 1.0) -> Occupancy:
    """An upright square post; below its middle its depth is only known to within `spread` NDC, a standard deviation, and all is believed in so much."""

    def field(points: np.ndarray) -> np.ndarray:
        x, y, z = points.T
        plane = expit(-200 * np.maximum(np.abs(x) - RADIUS, np.abs(y) - HEIGHT))
        sharp = expit(-200 * (np.abs(z) - RADIUS))
        unsure = ndtr((z + RADIUS) / max(spread, 1e-3)) - ndtr((z - RADIUS) / max(spread, 1e-3))
        return (believed * plane * np.where(y < 0, unsure, sharp)).astype(np.float32)

    return field


def surface(field: Occupancy) -> trimesh.Trimesh:
    found = extract_surface(linear_in_logit(field), R)
    return trimesh.Trimesh(found.vertices, found.faces, process=False)


@pytest.fixture(scope="module")
def coverage() -> np.ndarray:
    post = surface(leg())
    return rasterise(np.asarray(post.vertices, np.float32), post.faces, 256).mask.astype(np.float32)


def thickness(field: Occupancy, y: float) -> float:
    """How much of the ray at (0, y) is inside, NDC."""
    z = np.linspace(-1, 1, 2001, dtype=np.float32)
    return float((field(np.column_stack([0 * z, np.full_like(z, y), z])) > 0.5).mean() * 2)


def test_an_unsure_limb_is_as_thick_as_a_sure_one(coverage: np.ndarray) -> None:
    field = leg(spread=0.13)
    assert field(np.array([[0, -0.3, 0]], np.float32))[0] < 0.5  # torn off
    steady = keep_thickness(field, coverage)
    torn, kept = surface(field), surface(steady)
    assert np.asarray(torn.vertices)[:, 1].min() > -0.1
    assert kept.is_watertight
    assert np.asarray(kept.vertices)[:, 1].min() == pytest.approx(-HEIGHT, abs=0.03)
    assert thickness(steady, -0.35) == pytest.approx(2 * RADIUS, rel=0.18)
    assert thickness(steady, 0.35) == pytest.approx(2 * RADIUS, rel=0.03)


def test_a_sure_surface_stays(coverage: np.ndarray) -> None:
    field = leg()
    kept = keep_thickness(field, coverage)
    before, after = surface(field), surface(kept)
    assert abs(after.volume / before.volume - 1) < 0.03
    points = np.random.default_rng(0).uniform(-1, 1, (4000, 3)).astype(np.float32)
    assert np.all(kept(points) >= field(points) - 1e-6)  # never less


def test_what_the_network_does_not_believe_in_is_not_made_up(coverage: np.ndarray) -> None:
    kept = keep_thickness(leg(believed=0.1), coverage)
    points = np.random.default_rng(0).uniform(-1, 1, (20_000, 3)).astype(np.float32)
    assert kept(points).max() < 0.5


def test_every_point_is_answered_for_itself(coverage: np.ndarray) -> None:
    kept = keep_thickness(leg(spread=0.13), coverage)
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (500, 3)).astype(np.float32)
    assert np.array_equal(kept(points), np.concatenate([kept(points[:7]), kept(points[7:])]))


def test_an_empty_mask_changes_nothing() -> None:
    field = leg()
    points = np.random.default_rng(2).uniform(-0.5, 0.5, (500, 3)).astype(np.float32)
    assert np.allclose(keep_thickness(field, np.zeros((256, 256), np.float32))(points), field(points), atol=1e-6)
