"""Every protocol against the arithmetic of the evaluator that it restates, written down here a second time from its description."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.distance import cdist

from ncpifu_cli.geometry.camera import HALF_EXTENT_M, rotation_y
from ncpifu_cli.geometry.metrics import SurfaceTree
from ncpifu_cli.geometry.protocols import PROTOCOLS, Comparison, Surface, measure, measure_nothing
from ncpifu_cli.geometry.surface import sample_surface

SIZE_PX = 256


def surface(mesh: trimesh.Trimesh, count: int = 12_000, seed: int = 0) -> Surface:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    return Surface(SurfaceTree(vertices, faces), sample_surface(vertices, faces, count, np.random.default_rng(seed)))


def sphere(radius: float, subdivisions: int = 5) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)


def box(turned_deg: float = 0.0) -> trimesh.Trimesh:
    mesh = trimesh.creation.box(extents=(0.4, 1.2, 0.3))
    mesh.vertices = np.asarray(mesh.vertices) @ rotation_y(turned_deg).T + [0.03, 0, 0]
    return mesh


@pytest.fixture(scope="module")
def spheres() -> Comparison:
    return Comparison(surface(sphere(0.53), seed=1), surface(sphere(0.50)))


@pytest.mark.parametrize(("name", "expected"), [("paper", 3.0), ("pifuhd", 3.0), ("icon", 3 / 1.024), ("econ", 3 / 1.024)])
def test_spheres_three_centimetres_apart(spheres: Comparison, name: str, expected: float) -> None:
    found = measure(PROTOCOLS[name], spheres, 64)
    assert found["chamfer"] == pytest.approx(expected, rel=0.01)
    assert found["p2s"] == pytest.approx(expected, rel=0.01)


def test_distances_between_samples_overstate(spheres: Comparison) -> None:
    chamfer = measure(PROTOCOLS["sith"], spheres, 64)["chamfer"]
    assert 1.01 < chamfer / (30 / 1.024) < 1.08


def brute_distance(points: np.ndarray, mesh: trimesh.Trimesh) -> np.ndarray:
    """Point to triangle, with trimesh, against every triangle."""
    triangles = np.asarray(mesh.triangles)
    closest = trimesh.triangles.closest_point(np.tile(triangles, (len(points), 1, 1)), np.repeat(points, len(triangles), axis=0))
    return np.linalg.norm(closest.reshape(len(points), -1, 3) - points[:, None], axis=-1).min(axis=1)


@pytest.mark.parametrize(("name", "unit", "direction"), [("pifuhd", 100.0, 0), ("icon", 100 / 1.024, 1), ("econ", 100 / 1.024, 1)])
def test_distances_as_published_evaluators_compute_them(name: str, unit: float, direction: int) -> None:
    pair = Comparison(surface(box(20)), surface(box(), seed=5))
    count = PROTOCOLS[name].samples
    assert count in (1000, 10_000)
    there, back = (brute_distance(side.samples.points[:count], other) for side, other in ((pair.prediction, box()), (pair.truth, box(20))))
    found = measure(PROTOCOLS[name], pair, 32)
    assert found["chamfer"] == pytest.approx((there.mean() + back.mean()) / 2 * unit, abs=1e-3)
    assert found["p2s"] == pytest.approx((there, back)[direction].mean() * unit, abs=1e-3)
    assert abs(there.mean() - back.mean()) * unit > 0.01  # the directions differ, so the test can tell them apart


def test_the_papers_p2s_is_from_the_vertices() -> None:
    prediction = box(20).subdivide()
    pair = Comparison(surface(prediction), surface(box()))
    assert measure(PROTOCOLS["paper"], pair, 32)["p2s"] == pytest.approx(brute_distance(np.asarray(prediction.vertices), box()).mean() * 100, abs=1e-9)


def test_sith_measures_between_samples_in_thousandths_of_half_an_image() -> None:
    pair = Comparison(surface(box(20), 800), surface(box(), 800, seed=5))
    mine, true = pair.prediction.samples, pair.truth.samples
    apart = cdist(mine.points / HALF_EXTENT_M, true.points / HALF_EXTENT_M)
    my_normals, true_normals = box(20).face_normals[mine.face], box().face_normals[true.face]
    there = np.abs((my_normals * true_normals[apart.argmin(axis=1)]).sum(axis=1)).mean()
    back = np.abs((true_normals * my_normals[apart.argmin(axis=0)]).sum(axis=1)).mean()
    found = measure(PROTOCOLS["sith"], pair, 32)
    assert found["p2s"] == pytest.approx(apart.min(axis=1).mean() * 1000, abs=1e-3)
    assert found["chamfer"] == pytest.approx((apart.min(axis=1).mean() + apart.min(axis=0).mean()) / 2 * 1000, abs=1e-3)
    assert found["normal"] == pytest.approx((there + back) / 2, abs=1e-6)


def drawn_sphere(radius: float, half_window: float) -> tuple[np.ndarray, np.ndarray]:
    """(S, S, 3) normals of a sphere in the middle of the picture and the (S, S) mask, from its formula."""
    grid = ((np.arange(SIZE_PX) + 0.5) / SIZE_PX * 2 - 1) * half_window
    x, y = np.meshgrid(grid, -grid)
    depth = np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0))
    return np.stack([x, y, depth], axis=-1) / radius, x**2 + y**2 < radius**2


@pytest.mark.parametrize(("name", "views"), [("paper", 1), ("pifuhd", 4), ("icon", 4), ("econ", 4)])
def test_normal_errors_of_two_spheres_match_their_formula(name: str, views: int) -> None:
    half_window = 128 / 1.3 / 100 if name == "pifuhd" else HALF_EXTENT_M
    pictures = []
    for radius in (0.53, 0.50):
        normals, mask = drawn_sphere(radius, half_window)
        image = np.where(mask[..., None], normals, -1.0)  # black
        if name == "econ":
            image = image / np.linalg.norm(image, axis=-1, keepdims=True)
        pictures.append((image + 1) / 2)
    expected = views * ((pictures[0] - pictures[1]) ** 2).sum(axis=-1).mean()
    found = measure(PROTOCOLS[name], Comparison(surface(sphere(0.53), 1000), surface(sphere(0.50), 1000)), SIZE_PX)["normal"]
    assert found == pytest.approx(expected, abs=1e-3 * views)
    assert expected > 0.01


def test_a_missing_prediction_has_a_score_in_the_protocols_unit() -> None:
    truth = surface(sphere(0.5), 1000)
    assert measure_nothing(PROTOCOLS["paper"], truth, 64, 90)["chamfer"] == 90
    icon, econ = (measure_nothing(PROTOCOLS[name], truth, 64, 90) for name in ("icon", "econ"))
    assert icon["p2s"] == pytest.approx(90 / 1.024)
    assert icon["normal"] > econ["normal"] > 0
    assert measure_nothing(PROTOCOLS["sith"], truth, 64, 90)["normal"] == 0


def test_a_perfect_prediction_scores_zero() -> None:
    pair = Comparison(surface(box(), seed=1), surface(box(), seed=2))
    for name in ("paper", "pifuhd", "icon", "econ"):
        assert all(value == pytest.approx(0, abs=1e-9) for value in measure(PROTOCOLS[name], pair, 64).values())
    assert measure(PROTOCOLS["sith"], pair, 64)["normal"] > 0.97
