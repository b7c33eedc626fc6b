"""Gaps along lines of sight: where a ray leaves one part of the body and enters another, as between a near and a far leg.

A gap begins where the surface faces away from the camera and ends at the next crossing, where it faces the camera; whether it is empty is asked of the inside
test that also makes the occupancy labels. Counting entries and exits would do on closed surfaces only: skin that is cut away under cloth, open coats and scans
are not closed.
"""

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import points_to_px
from ncpifu_cli.geometry.raster import FAR, Bools, Floats, Ints, depth_at, front_first, span

MOST = 64  # crossings kept per ray, the first ones found


def widest_gap(
    points_ndc: NDArray[np.floating],
    faces: NDArray[np.integer],
    size_px: int,
    inside: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    smallest_ndc: float,
) -> NDArray[np.float32]:
    """The widest empty stretch between the first and the last surface along each pixel's ray.

    Args: points_ndc (V, 3), faces (F, 3), size_px: as of `rasterise`. inside: (N, 3) NDC -> (N,) bool. smallest_ndc: what is shorter is no gap.

    Returns (2, S, S) float32: z_ndc where the gap begins and where it ends, the nearer one first; both 0 where a ray passes none.
    """
    count = np.zeros((size_px, size_px), np.int32)
    depth, enters = np.zeros((size_px, size_px, MOST), np.float32), np.zeros((size_px, size_px, MOST), np.bool_)
    _crossings(points_to_px(points_ndc, size_px), np.ascontiguousarray(faces, np.int32), count, depth, enters)
    pieces = ~enters[..., :-1] & enters[..., 1:] & (np.arange(1, MOST) < count[..., None])
    row, column, place = np.nonzero(pieces & (depth[..., :-1] - depth[..., 1:] >= smallest_ndc))
    begin, end = depth[row, column, place], depth[row, column, place + 1]
    middle = np.stack([(column + 0.5) / size_px * 2 - 1, 1 - (row + 0.5) / size_px * 2, (begin + end) / 2], axis=1)
    empty = np.flatnonzero(~inside(middle))
    order = empty[np.argsort((begin - end)[empty], kind="stable")]  # the widest one of a ray is written last
    gap = np.zeros((2, size_px, size_px), np.float32)
    gap[0, row[order], column[order]], gap[1, row[order], column[order]] = begin[order], end[order]
    return gap


@numba.njit(nogil=True, cache=True)
def _crossings(points: Floats, faces: Ints, count: Ints, depth: Floats, enters: Bools) -> None:
    """The first `MOST` crossings found along each pixel's ray, the nearest first: count (S, S), z and whether the surface faces the camera, (S, S, MOST)."""
    size = count.shape[0]
    half = np.float32(0.5)
    order, front, back = front_first(points, faces, False, size)
    for step in range(front + faces.shape[0] - back):
        face = order[step] if step < front else order[back + step - front]
        sign = np.float32(-1) if step < front else np.float32(1)
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        first_x, last_x = span(points[a, 0], points[b, 0], points[c, 0], size)
        first_y, last_y = span(points[a, 1], points[b, 1], points[c, 1], size)
        for row in range(first_y, last_y + 1):
            y = np.float32(row) + half
            for column in range(first_x, last_x + 1):
                z = depth_at(points, a, b, c, sign, np.float32(column) + half, y)
                if z > FAR and count[row, column] < MOST:
                    _insert(depth[row, column], enters[row, column], count[row, column], z, step < front)
                    count[row, column] += 1


@numba.njit(nogil=True, cache=True)
def _insert(depth: Floats, enters: Bools, place: int, z: np.float32, entering: bool) -> None:
    while place > 0 and depth[place - 1] < z:
        depth[place], enters[place] = depth[place - 1], enters[place - 1]
        place -= 1
    depth[place], enters[place] = z, entering
