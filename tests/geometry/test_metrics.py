"""Metrics against closed forms, invariances and independent libraries."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from ncpifu_cli.geometry import metrics
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, rotation_x, rotation_y
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.protocols import GREY
from ncpifu_cli.geometry.surface import face_normals, sample_surface


def sphere(radius: float = 0.5, centre: tuple[float, float, float] = (0, 0, 0), subdivisions: int = 5) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return np.asarray(mesh.vertices) + np.array(centre), np.asarray(mesh.faces)


def plane(z: float, half: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """A square facing +z."""
    return np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]], float), np.array([[0, 1, 2], [0, 2, 3]])


def distances(first, second, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    there = metrics.SurfaceTree(*second).distance_m(sample_surface(*first, count, rng).points)
    back = metrics.SurfaceTree(*first).distance_m(sample_surface(*second, count, rng).points)
    return there, back


def test_concentric_spheres_are_their_radii_apart() -> None:
    there, back = distances(sphere(0.53), sphere(0.50))
    assert metrics.p2s_cm(there) == pytest.approx(3, abs=0.03)
    assert metrics.chamfer_cm(there, back) == pytest.approx(3, abs=0.03)
    assert metrics.f_score(there, back, 1.0) == 0
    assert metrics.f_score(there, back, 3.1) == 1


def test_equal_spheres_with_shifted_centres_match_the_integral() -> None:
    radius, shift = 0.5, 0.08
    # |x - c| for x on the first sphere is sqrt(R^2 + d^2 - 2 R d u) with u uniform in [-1, 1]; the distance to the second is | |x - c| - R |.
    u = (np.arange(200_000) + 0.5) / 100_000 - 1
    expected_cm = np.mean(np.abs(np.sqrt(radius**2 + shift**2 - 2 * radius * shift * u) - radius)) * 100
    there, back = distances(sphere(radius), sphere(radius, (0, shift, 0)))
    assert metrics.chamfer_cm(there, back) == pytest.approx(expected_cm, rel=0.01)


def test_shifted_planes_are_exact_and_unsquared() -> None:
    there, back = distances(plane(0), plane(0.02))
    assert metrics.chamfer_cm(there, back) == pytest.approx(2, abs=1e-9)


def test_directions_differ_where_one_surface_has_more() -> None:
    one, other = plane(0), plane(1)
    both = np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1] + 4])
    there, back = distances(both, one)
    assert metrics.p2s_cm(there) == pytest.approx(50, abs=1)  # half the prediction is 1 m away
    assert metrics.p2s_cm(back) == pytest.approx(0, abs=1e-9)
    assert metrics.f_score(there, back) == pytest.approx(2 * 0.5 / 1.5, abs=0.01)


def test_volume_overlap_of_a_box_turned_by_45_degrees() -> None:
    points = metrics.stratified_points(np.array([-1.5, -1, -1.5]), np.array([1.5, 1, 1.5]), 200_000, np.random.default_rng(1))
    box = trimesh.creation.box(extents=(2, 2, 2))
    inside = (np.abs(points) <= 1).all(axis=1)
    turned = (np.abs(points @ rotation_y(45)) <= 1).all(axis=1)
    assert metrics.mask_iou(inside, turned) == pytest.approx(1 / np.sqrt(2), abs=0.003)
    assert inside.mean() * 3 * 3 * 2 == pytest.approx(box.volume, rel=0.01)


def test_stratified_points_fill_the_box_evenly() -> None:
    low, high = np.array([0.0, -1, 2]), np.array([1.0, 3, 2.5])
    points = metrics.stratified_points(low, high, 10_000, np.random.default_rng(0))
    assert len(points) == pytest.approx(10_000, rel=0.1)
    assert (points >= low).all()
    assert (points <= high).all()
    np.testing.assert_allclose(points.mean(axis=0), (low + high) / 2, atol=0.01)


def test_skin_under_cloth_is_not_part_of_the_true_surface() -> None:
    skin, cloth_inner, cloth_outer = sphere(0.5), sphere(0.501), sphere(0.51)
    vertices = np.concatenate([skin[0], cloth_inner[0], cloth_outer[0]])
    inner = cloth_inner[1][:, ::-1] + len(skin[0])  # the cloth is a closed shell: its inner wall faces inwards, 1 mm from the skin
    faces = np.concatenate([skin[1], inner, cloth_outer[1] + 2 * len(skin[0])])
    outer = metrics.outer_faces(vertices, faces, InsideTest(vertices, faces))
    np.testing.assert_array_equal(outer, np.repeat([False, False, True], len(skin[1])))


def test_distances_do_not_change_under_rigid_motion_and_scale_with_scale() -> None:
    rotation, shift = rotation_x(31) @ rotation_y(-73), np.array([0.3, -2, 1])
    first, second = sphere(0.5, subdivisions=3), sphere(0.4, (0.1, 0.2, 0), subdivisions=3)
    plain = np.array([metrics.p2s_cm(d) for d in distances(first, second, 5000)])
    moved = np.array([metrics.p2s_cm(d) for d in distances(*((v @ rotation.T + shift, f) for v, f in (first, second)), 5000)])
    doubled = np.array([metrics.p2s_cm(d) for d in distances(*((2 * v, f) for v, f in (first, second)), 5000)])
    np.testing.assert_allclose(moved, plain, rtol=1e-9)
    np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-9)


def test_distance_agrees_with_trimesh_on_every_triangle() -> None:
    rng = np.random.default_rng(5)
    vertices, faces = rng.normal(size=(60, 3)), rng.integers(0, 60, size=(40, 3))
    faces = faces[face_normals(vertices, faces)[1] > 1e-3]
    points = rng.normal(scale=2, size=(50, 3))
    triangles = vertices[faces]
    closest = trimesh.triangles.closest_point(np.tile(triangles, (len(points), 1, 1)), np.repeat(points, len(faces), axis=0))
    brute = np.linalg.norm(closest.reshape(len(points), len(faces), 3) - points[:, None], axis=-1).min(axis=1)
    np.testing.assert_allclose(metrics.SurfaceTree(vertices, faces).distance_m(points), brute, atol=1e-9)


def test_distance_to_dense_samples_is_just_above_the_exact_one() -> None:
    surface = sphere(0.5, subdivisions=3)
    samples = sample_surface(*surface, 400_000, np.random.default_rng(0)).points
    points = np.random.default_rng(1).normal(scale=0.5, size=(2000, 3))
    exact, sampled = metrics.SurfaceTree(*surface).distance_m(points), cKDTree(samples).query(points)[0]
    assert (sampled >= exact - 1e-9).all()
    assert np.mean(sampled - exact) < 1e-3


def test_normal_error_counts_a_missing_square_by_its_area() -> None:
    half = 0.4
    truth = metrics.normal_map(*plane(0, half), size_px=256)
    nothing = np.zeros((256, 256, 3)), np.zeros((256, 256), bool)
    # A surface facing the camera is coloured (0.5, 0.5, 1): 1.5 against black.
    assert metrics.normal_error(truth, nothing) == pytest.approx(1.5 * (half / HALF_EXTENT_M) ** 2, rel=0.02)
    assert metrics.normal_error(truth, truth) == 0
    assert metrics.mask_iou(truth[1], nothing[1]) == 0


def test_normal_error_of_a_turned_plane_matches_its_angle() -> None:
    half, angle = 0.4, 20.0
    front = metrics.normal_map(*plane(0, half), size_px=256)
    sheared = plane(0, half)
    sheared[0][:, 2] = -sheared[0][:, 0] * np.tan(np.deg2rad(angle))  # same silhouette, normal turned by `angle` towards +x
    turned = metrics.normal_map(*sheared, size_px=256)
    centre = turned[0][128, 128]
    np.testing.assert_allclose(centre, [np.sin(np.deg2rad(angle)), 0, np.cos(np.deg2rad(angle))], atol=1e-5)
    expected = ((np.sin(np.deg2rad(angle)) / 2) ** 2 + ((1 - np.cos(np.deg2rad(angle))) / 2) ** 2) * (half / HALF_EXTENT_M) ** 2
    assert metrics.normal_error(front, turned) == pytest.approx(expected, rel=0.02)


def test_a_grey_background_halves_the_cost_of_a_wrong_silhouette() -> None:
    truth = metrics.normal_map(*plane(0, 0.4), size_px=128)
    black, grey = (metrics.normal_error(truth, metrics.empty_map(128), colour) for colour in (0.0, GREY))
    assert grey / black == pytest.approx((2 * (0.5 - GREY) ** 2 + (1 - GREY) ** 2) / 1.5)
    assert 0.4 < grey / black < 0.6


def test_a_narrower_window_makes_the_subject_larger() -> None:
    areas = [metrics.normal_map(*plane(0, 0.4), size_px=256, half_extent_m=window)[1].mean() for window in (HALF_EXTENT_M, HALF_EXTENT_M / 2)]
    assert areas[1] / areas[0] == pytest.approx(4, rel=0.03)


def test_share_of_surface_within_a_distance() -> None:
    there, back = np.array([0.0, 0.01, 0.03, 0.2]), np.array([0.005, 0.005])
    np.testing.assert_allclose(metrics.share_within(there, back, np.array([0, 0.5, 1, 5, 50])), [0.125, 0.625, 0.75, 0.875, 1])
    shares = metrics.share_within(*distances(sphere(0.53), sphere(0.50)), np.array([2.9, 3.1]))
    np.testing.assert_allclose(shares, [0, 1], atol=0.01)


def test_normal_map_turns_the_subject() -> None:
    vertices, faces = plane(0)
    side = vertices @ rotation_y(-90).T  # faces -x; a turn by +90 degrees brings it to the front again
    normals, mask = metrics.normal_map(side, faces, size_px=64, yaw_deg=90)
    np.testing.assert_allclose(normals[mask], np.tile([0, 0, 1], (mask.sum(), 1)), atol=1e-6)


def test_normal_maps_agree_for_one_surface_in_two_meshings() -> None:
    coarse, fine = metrics.normal_map(*sphere(subdivisions=4)), metrics.normal_map(*sphere(subdivisions=5))
    assert metrics.normal_error(coarse, fine) < 2e-3
