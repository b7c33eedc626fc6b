import numpy as np
import pytest
import trimesh

from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.raster import interpolate, interpolate_down, mean_of_covered, rasterise, rasterise_depth

QUAD = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def quad(left: float, bottom: float, right: float, top: float, z: float = 0.0) -> np.ndarray:
    return np.array([[left, bottom, z], [right, bottom, z], [right, top, z], [left, top, z]], np.float32)


def ball(subdivisions: int = 4, radius: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions, radius)
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)


def slow_twin(points_ndc: np.ndarray, faces: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pixel against every triangle, in double precision."""
    px = np.c_[ndc_to_px(points_ndc.astype(np.float64), size), points_ndc[:, 2]]
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    depth, face_id = np.full((size, size), -np.inf), np.full((size, size), -1)
    for number, (a, b, c) in enumerate(px[faces]):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0:
            continue
        wb = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
        wc = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
        z = (1 - wb - wc) * a[2] + wb * b[2] + wc * c[2]
        nearer = (wb >= 0) & (wc >= 0) & (wb + wc <= 1) & (z > depth)
        depth[nearer], face_id[nearer] = z[nearer], number
    return np.where(face_id >= 0, depth, 0), face_id


def test_agrees_with_the_slow_twin_on_random_triangles() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-1.3, 1.3, (90, 3)).astype(np.float32)
    faces = rng.integers(0, 90, (60, 3)).astype(np.int32)
    buffer = rasterise(points, faces, 40)
    depth, face_id = slow_twin(points, faces, 40)
    assert (buffer.face_id != face_id).sum() <= 2  # pixel centres within rounding of an edge
    same = buffer.face_id == face_id
    np.testing.assert_allclose(buffer.depth_ndc[same], depth[same], atol=1e-4)


def test_pixel_convention_row_zero_is_up_and_edges_claim_centres() -> None:
    # Columns 2..4 (u in [2, 5]) and rows 1..3 (v in [1, 4]) of an 8 px image.
    buffer = rasterise(quad(-0.5, 0.0, 0.25, 0.75), QUAD, 8)
    rows, columns = np.nonzero(buffer.mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 3, 2, 4)
    assert buffer.mask.sum() == 9


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.499, 0.501, 0.9])
def test_an_edge_claims_a_pixel_when_it_passes_its_centre(shift: float) -> None:
    right = -1 + 2 * (3 + shift) / 8
    mask = rasterise(quad(-1, -1, right, 1), QUAD, 8).mask
    assert mask.sum(axis=1).tolist() == [3 + (shift > 0.5)] * 8


def test_larger_z_is_nearer_and_wins_in_any_order() -> None:
    near, far = quad(-0.5, -0.5, 0.5, 0.5, 0.4), quad(-0.5, -0.5, 0.5, 0.5, -0.4)
    for points, expected in ((np.r_[near, far], {0, 1}), (np.r_[far, near], {2, 3})):
        buffer = rasterise(points, np.r_[QUAD, QUAD + 4], 16)
        assert set(buffer.face_id[buffer.mask]) == expected
        np.testing.assert_allclose(buffer.depth_ndc[buffer.mask], 0.4, atol=1e-6)


def test_slanted_plane_has_its_depth_at_pixel_centres() -> None:
    points = quad(-1, -1, 1, 1)
    points[:, 2] = 0.3 * points[:, 0] - 0.2 * points[:, 1]
    depth = rasterise(points, QUAD, 64).depth_ndc
    centre = (np.arange(64) + 0.5) / 32 - 1
    np.testing.assert_allclose(depth, 0.3 * centre[None, :] + 0.2 * centre[:, None], atol=2e-6)


def test_a_closed_surface_has_no_cracks_and_culling_changes_nothing() -> None:
    vertices, faces = ball()
    rng = np.random.default_rng(0)
    for _ in range(4):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turn *= np.linalg.det(turn)
        points = (vertices @ turn.T).astype(np.float32)
        full, culled = rasterise(points, faces, 257), rasterise(points, faces, 257, cull=True)
        assert (full.depth_ndc[full.mask] > -0.02).all()  # a crack would show the far side; at the outline facets reach a little behind 0
        assert (full.mask == culled.mask).all()
        assert (full.face_id == culled.face_id).mean() > 0.9999
    flipped = rasterise(points, faces[:, ::-1], 257, cull=True)
    assert (flipped.depth_ndc[flipped.mask] < 0.02).all()  # wound inside out: only the far side is left


def test_interpolation_reproduces_linear_functions_and_barycentric_sums_to_one() -> None:
    vertices, faces = ball(3)
    buffer = rasterise(vertices, faces, 96)
    weights = buffer.barycentric
    np.testing.assert_allclose(weights.sum(axis=2), buffer.mask, atol=1e-5)
    seen = interpolate(buffer, faces, vertices)
    centre = (np.arange(96) + 0.5) / 48 - 1
    np.testing.assert_allclose(seen[..., 0][buffer.mask], np.broadcast_to(centre[None, :], (96, 96))[buffer.mask], atol=1e-4)
    np.testing.assert_allclose(seen[..., 1][buffer.mask], np.broadcast_to(-centre[:, None], (96, 96))[buffer.mask], atol=1e-4)
    np.testing.assert_allclose(seen[..., 2], buffer.depth_ndc, atol=1e-4)
    assert (seen[~buffer.mask] == 0).all()


def test_down_sampling_keeps_the_subjects_own_colour_at_the_outline() -> None:
    vertices, faces = ball()
    buffer = rasterise(vertices, faces, 128)
    image, mask = interpolate_down(buffer, np.full((len(vertices), 3), 200, np.float32))
    np.testing.assert_allclose(image[mask], 200, atol=0.01)
    assert (image[~mask] == 0).all()
    assert abs(int(mask.sum()) - int(rasterise(vertices, faces, 64).mask.sum())) < 0.02 * mask.sum()
    again, same_mask = mean_of_covered(interpolate(buffer, faces, np.full((len(vertices), 3), 200, np.float32)), buffer.mask)
    np.testing.assert_allclose(again, image, atol=0.01)
    assert (same_mask == mask).all()


def test_depth_only_draws_the_same_depth() -> None:
    vertices, faces = ball()
    buffer = rasterise(vertices, faces, 128)
    depth = np.full((128, 128), -5, np.float32)
    rasterise_depth(buffer.points_px, faces, depth)
    inside = buffer.mask
    np.testing.assert_allclose(depth[inside], buffer.depth_ndc[inside], atol=1e-4)
    assert (depth[~inside] == -5).mean() > 0.99


@pytest.mark.parametrize(
    ("points", "faces"),
    [
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)),
        (np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32)),
        (np.array([[5, 5, 0], [6, 5, 0], [5, 6, 0]], np.float32), np.array([[0, 1, 2]], np.int32)),
        (np.array([[-2, -0.1, 0], [-1.5, -0.1, 0], [-1.5, 0.1, 0]], np.float32), np.array([[0, 1, 2]], np.int32)),
    ],
)
def test_nothing_to_see(points: np.ndarray, faces: np.ndarray) -> None:
    buffer = rasterise(points, faces, 16)
    assert not buffer.mask.any()
    assert (buffer.depth_ndc == 0).all()


def test_a_face_far_larger_than_the_image_covers_it() -> None:
    huge = np.array([[-1e6, -1e6, 0], [1e6, -1e6, 0], [0, 1e6, 0]], np.float32)
    assert rasterise(huge, np.array([[0, 1, 2]], np.int32), 16).mask.all()


def test_refuses_an_image_without_pixels() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        rasterise(quad(0, 0, 1, 1), QUAD, 0)
