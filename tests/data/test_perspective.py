import numpy as np
import pytest

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.depth import JUMP_NDC
from ncpifu_cli.data.perspective import FURTHEST_NEARNESS, HIGH_NDC, NEAREST_NDC, ORTHOGRAPHIC, Perspective, random_perspective

SIZE, DEPTH_PX = 256, 128
NEAR = Perspective(2.0, (0.1, 0.5))


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y NDC of the pixels of a picture, (size, size) each."""
    x, y = np.meshgrid((2 * np.arange(size) + 1) / size - 1, 1 - (2 * np.arange(size) + 1) / size)
    return x.astype(np.float32), y.astype(np.float32)


def pixel(points: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of points (N, 3)."""
    row, column = (1 - points[:, 1]) / 2 * size, (points[:, 0] + 1) / 2 * size
    return np.floor(row).astype(int).clip(0, size - 1), np.floor(column).astype(int).clip(0, size - 1)


def ball(radius: float = 0.4, low: float = -0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball around (0, low, 0), without a gap: colours that say where (x, y) they are, coverage, and four layers of depth."""
    x, y = grid(SIZE)
    cover = (x**2 + (y - low) ** 2 < radius**2).astype(np.float32)
    color = np.stack([(x + 1) * 100, (y + 1) * 100, np.zeros_like(x)], axis=-1) * cover[..., None]
    x, y = grid(DEPTH_PX)
    inside = radius**2 - x**2 - (y - low) ** 2
    half = np.where(inside > 0, np.sqrt(np.maximum(inside, 0)), np.nan).astype(np.float32)
    return color, cover, np.stack([half, -half, 0 * half, 0 * half])


def test_points_by_hand() -> None:
    moved = Perspective(2.0, (0.0, 0.5)).points(np.array([[0.5, -0.5, 0.5], [0.3, 0.5, -1.0], [0.2, 0.1, 0.0]], np.float32))
    assert moved.dtype == np.float32
    assert moved == pytest.approx(np.array([[0.5 / 0.75, 0.5 - 1 / 0.75, 0.5], [0.2, 0.5, -1.0], [0.2, 0.1, 0.0]]), abs=1e-6)


def test_picture_and_depth_move_as_points_do() -> None:
    color, cover, depth = ball()
    seen, covered, moved = NEAR.view(color, cover, depth)
    assert seen.shape == color.shape and covered.shape == cover.shape and moved.shape == depth.shape
    x, y = grid(DEPTH_PX)
    for layer, farther in ((0, 1), (1, -1)):
        known = np.isfinite(depth[layer])
        surface = np.stack([x[known], y[known], depth[layer][known]], axis=1)
        normal, to_camera = surface - [0, -0.3, 0], np.array([*NEAR.axis_ndc, NEAR.distance_ndc]) - surface
        turned = (normal * to_camera).sum(axis=1) / np.linalg.norm(normal, axis=1) / np.linalg.norm(to_camera, axis=1)
        # Of the front what is turned to the camera, of the back what is turned away; at the rim a pixel is many depths.
        surface = surface[farther * turned > 0.3]
        row, column = pixel(NEAR.points(surface), DEPTH_PX)
        assert len(surface) > 800
        off = np.abs(moved[layer, row, column] - surface[:, 2])
        assert np.isfinite(off).mean() > 0.97
        assert np.nanmedian(off) < 0.01
    facing = depth[0] > 0.25
    surface = np.stack([x[facing], y[facing], depth[0][facing]], axis=1)
    row, column = pixel(NEAR.points(surface), SIZE)
    shown = seen[row, column, :2] / 100 - 1
    assert np.median(np.abs(shown - surface[:, :2])) < 0.03
    assert np.median(np.abs(NEAR.points(surface)[:, :2] - surface[:, :2])) > 0.06  # it has moved more than that


def test_what_is_inside_stays_between_front_and_back() -> None:
    color, cover, depth = ball()
    _, covered, moved = NEAR.view(color, cover, depth)
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (4000, 3)).astype(np.float32)
    points = points[np.linalg.norm(points, axis=1) < 0.37] + np.array([0, -0.3, 0], np.float32)
    at = NEAR.points(points)
    row, column = pixel(at, DEPTH_PX)
    front, back = moved[0, row, column], moved[1, row, column]
    between = (at[:, 2] < front + 0.03) & (at[:, 2] > back - 0.03)  # NaN counts as false: it is on the picture as well
    assert between.mean() > 0.97
    row, column = pixel(at, SIZE)
    assert (covered[row, column] > 0.5).mean() > 0.99


def test_a_near_part_covers_what_is_behind_it() -> None:
    cover = np.ones((SIZE, SIZE), np.float32)
    y = grid(SIZE)[1]
    arm = np.abs(y + 0.5) < 0.15
    color = np.where(arm[..., None], [200.0, 0, 0], [0, 200.0, 0]).astype(np.float32)
    y = grid(DEPTH_PX)[1]
    front = np.where(np.abs(y + 0.5) < 0.15, 0.3, 0.0).astype(np.float32)
    depth = np.stack([front, np.full_like(front, -0.1), front - 0.1, np.full_like(front, 0.0)])
    seen, _, moved = Perspective(3.0, (0.0, 0.5)).view(color, cover, depth)
    middle = SIZE // 2
    rows = np.flatnonzero(seen[:, middle, 0] > 100)
    top, bottom = 1 - 2 * rows.min() / SIZE, 1 - 2 * (rows.max() + 1) / SIZE
    closer = 1 / (1 - 0.3 / 3)
    assert top == pytest.approx(0.5 - 0.85 * closer, abs=0.04)  # the lower edge of its shoulder, drawn away from the axis
    assert bottom == pytest.approx(0.5 - 1.15 * closer, abs=0.04)
    assert (np.diff(rows) == 1).all()
    found = moved[0, :, DEPTH_PX // 2]
    assert np.minimum(np.abs(found), np.abs(found - 0.3)).max() < JUMP_NDC  # nothing between arm and body


def test_unknown_depth_stays_unknown() -> None:
    color, cover, depth = ball()
    depth[2:] = np.nan  # renders from before there were gaps
    _, _, moved = NEAR.view(color, cover, depth)
    assert np.isfinite(moved[:2]).any() and np.isnan(moved[2:]).all()


def test_share_and_range_of_distances() -> None:
    rng = np.random.default_rng(0)
    drawn = [random_perspective(AugmentConfig(perspective=0.4), rng) for _ in range(500)]
    near = [camera.distance_ndc for camera in drawn if camera != ORTHOGRAPHIC]
    assert 0.3 < len(near) / 500 < 0.5
    assert min(near) >= NEAREST_NDC and np.median(near) == pytest.approx(2 * NEAREST_NDC, rel=0.2)
    assert all(random_perspective(AugmentConfig(perspective=0), rng) is ORTHOGRAPHIC for _ in range(50))


def test_orthographic_cameras_change_nothing() -> None:
    color, cover, depth = ball()
    assert all(after is before for after, before in zip(ORTHOGRAPHIC.view(color, cover, depth), (color, cover, depth), strict=True))
    points = np.ones((3, 3), np.float32)
    assert ORTHOGRAPHIC.points(points) is points


def test_layers_stay_in_order() -> None:
    """A hand before a body: from a near camera too the gap lies between front and back, and begins before it ends."""
    x, y = grid(DEPTH_PX)
    body, hand = np.abs(x) < 0.5, (np.abs(x - 0.2) < 0.06) & (np.abs(y + 0.5) < 0.06)
    front = np.where(hand, 0.45, np.where(body, 0.1 + 0.05 * np.cos(9 * x), np.nan)).astype(np.float32)
    back = np.where(body, -0.1 - 0.05 * np.cos(9 * x), np.nan).astype(np.float32)
    begin, end = np.where(hand, 0.4, (front + back) / 2).astype(np.float32), np.where(hand, 0.15, (front + back) / 2).astype(np.float32)
    depth = np.stack([front, back, begin, end])
    _, _, moved = Perspective(NEAREST_NDC, (0.0, 0.8)).view(np.zeros((SIZE, SIZE, 3), np.float32), np.ones((SIZE, SIZE), np.float32), depth)
    front, back, begin, end = moved[:, np.isfinite(moved[0])]
    assert (front >= begin - 1e-6).all() and (begin >= end - 1e-6).all() and (end >= back - 1e-6).all()
    near = front > 0.4
    grown = (1 / (1 - 0.45 / NEAREST_NDC)) ** 2
    assert near.sum() == pytest.approx(hand.sum() * grown, rel=0.3)  # a hand of 8 pixels that has come 21 further is not lost
    assert (begin - end)[near].mean() > 0.2  # nor is the gap behind it


def test_undone_is_the_inverse() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    assert NEAR.undone(NEAR.points(points)) == pytest.approx(points, abs=1e-12)
    assert ORTHOGRAPHIC.undone(points) == pytest.approx(points)


def test_the_matrix_projects_as_the_camera_does() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    for camera in (NEAR, ORTHOGRAPHIC):
        seen = np.column_stack([points, np.ones(50)]) @ camera.matrix.T
        assert seen[:, :2] / seen[:, 2:] == pytest.approx(camera.points(points)[:, :2])


def test_a_camera_and_its_parameters() -> None:
    assert ORTHOGRAPHIC.parameters == pytest.approx(np.zeros(3))
    camera = Perspective(2.5, (0.1, 0.5))
    assert camera.parameters == pytest.approx([0.4, 0.04, 0.2])
    again = Perspective.from_parameters(camera.parameters)
    assert (again.distance_ndc, *again.axis_ndc) == pytest.approx((2.5, 0.1, 0.5))


def test_what_cannot_be_a_camera_is_moved_to_what_can() -> None:
    assert Perspective.from_parameters(np.array([FURTHEST_NEARNESS / 2, 0.0, 0.5])) is ORTHOGRAPHIC
    assert Perspective.from_parameters(np.array([-0.1, 0.0, 0.0])) is ORTHOGRAPHIC
    camera = Perspective.from_parameters(np.array([3.0, 0.0, 9.0]))
    assert camera.distance_ndc == pytest.approx(NEAREST_NDC)
    assert camera.axis_ndc == pytest.approx((0.0, HIGH_NDC))
