"""Fair sides: bands go, what the camera sees stays, nothing cuts through itself."""

import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.extract import extract_surface
from ncpifu_cli.geometry.fair import FRONT, MOST_NDC, STEADY, fair_ground, fair_sides
from ncpifu_cli.geometry.finish import smooth
from ncpifu_cli.geometry.mesh_health import mesh_health
from ncpifu_cli.geometry.surface import vertex_normals

RADIUS, BAND, DEPTH = 0.1, 0.016, 0.002


def _limb(banded: bool) -> tuple[np.ndarray, np.ndarray]:
    """An upright capsule, its radius in steps along the height: what pixels of a feature map leave at the sides of a limb."""

    def occupancy(points: np.ndarray) -> np.ndarray:
        step = DEPTH * np.sign(np.sin(np.pi * points[:, 1] / BAND)) if banded else 0
        return np.clip(0.5 + (step - _height(points)) / 0.02, 0, 1).astype(np.float32)

    surface = extract_surface(occupancy, 256)
    return surface.vertices.astype(np.float64), surface.faces


def _height(points: np.ndarray) -> np.ndarray:
    """Distance from the capsule's surface, outwards."""
    x, y, z = points.T
    return np.hypot(np.hypot(x, z), np.maximum(np.abs(y) - 0.4, 0)) - RADIUS


def test_bands_along_a_side_go_and_what_the_camera_sees_stays() -> None:
    vertices, faces = _limb(banded=True)
    moved = fair_sides(vertices, faces)
    steady = np.abs(vertex_normals(smooth(vertices, faces, STEADY), faces)[:, 2])
    middle = np.abs(vertices[:, 1]) < 0.35
    side = middle & (steady < 0.3)
    assert _height(moved[side]).std() < 0.3 * _height(vertices[side]).std()
    seen = middle & (steady > FRONT + 0.15)  # well away from the border
    assert seen.any() and np.array_equal(moved[seen], vertices[seen])
    assert np.linalg.norm(moved - vertices, axis=1).max() <= MOST_NDC
    health = mesh_health(moved, faces)
    assert health.watertight and health.crossing_faces == 0


def test_a_smooth_side_stays_where_it_is() -> None:
    vertices, faces = _limb(banded=False)
    moved = fair_sides(vertices, faces)
    middle = np.abs(vertices[:, 1]) < 0.35
    assert _height(moved[middle]).mean() == pytest.approx(_height(vertices[middle]).mean(), abs=2e-4)
    assert np.abs(_height(moved)).max() < np.abs(_height(vertices)).max() + 0.001  # along the surface they may move


def test_thin_things_do_not_turn_inside_out() -> None:
    plate = trimesh.creation.box((0.01, 0.5, 0.3)).subdivide_to_size(0.02)
    vertices, faces = np.asarray(plate.vertices), np.asarray(plate.faces)
    moved = fair_sides(vertices, faces)
    health = mesh_health(moved, faces)
    assert health.watertight and health.crossing_faces == 0
    assert trimesh.Trimesh(moved, faces, process=False).volume > 0.5 * plate.volume


def _limb_in_front(bumpy: bool) -> tuple[np.ndarray, np.ndarray]:
    """The capsule with bumps of a feature map's pixels in front and at the back."""

    def occupancy(points: np.ndarray) -> np.ndarray:
        bumps = DEPTH * np.sin(np.pi * points[:, 1] / BAND) * (np.abs(points[:, 2]) > 0.06) if bumpy else 0
        return np.clip(0.5 + (bumps - _height(points)) / 0.02, 0, 1).astype(np.float32)

    surface = extract_surface(occupancy, 256)
    return surface.vertices.astype(np.float64), surface.faces


def test_the_ground_of_relief_is_even_and_a_limb_as_thick_as_before() -> None:
    vertices, faces = _limb_in_front(bumpy=True)
    moved = fair_ground(vertices, faces)
    middle = (np.abs(vertices[:, 1]) < 0.35) & (np.abs(vertices[:, 2]) > 0.08)
    before, after = _height(vertices[middle]), _height(moved[middle])
    assert after.std() < 0.5 * before.std()
    assert after.mean() == pytest.approx(before.mean(), abs=0.0015)
    outline = np.abs(vertices[:, 2]) < 0.01
    assert np.abs(_height(moved[outline])).max() < np.abs(_height(vertices[outline])).max() + 5e-4
    health = mesh_health(moved, faces)
    assert health.watertight and health.crossing_faces == 0


def test_the_ground_of_relief_has_no_slivers() -> None:
    vertices, faces = _limb_in_front(bumpy=False)

    def shortest(points: np.ndarray) -> np.ndarray:
        edges = np.linalg.norm(points[faces] - points[np.roll(faces, -1, axis=1)], axis=2)
        return edges.min(axis=1) / edges.max(axis=1)

    assert np.percentile(shortest(vertices), 2) < 0.15 < np.percentile(shortest(fair_ground(vertices, faces)), 2)
