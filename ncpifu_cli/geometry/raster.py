"""Orthographic z-buffer in numba: no GL, exact pixel centres, releases the GIL (design: rendering_and_masks A3, A4).

Pixel (row i, column j) samples the point (j + 0.5, i + 0.5), so an edge claims a pixel once it passes its centre. Both triangles of an edge evaluate
the same edge function with opposite sign, bit by bit, so a closed surface has no cracks.
"""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import ndc_to_px, points_to_px

FAR = np.float32(-1e30)
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class RasterBuffer:
    """What each pixel sees.

    Attributes:
        face_id: (S, S) int32, the nearest face, -1 = empty. depth_ndc: (S, S) float32, z towards the camera (larger = nearer), 0 where empty.
        points_px: (V, 3) float32, the drawn vertices: u right, v down in pixels, z in NDC. faces: (F, 3) int32.
    """

    face_id: NDArray[np.int32]
    depth_ndc: NDArray[np.float32]
    points_px: NDArray[np.float32]
    faces: NDArray[np.int32]

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(S, S) bool: True where a face covers the pixel's centre."""
        return self.face_id >= 0

    def seen(self, points_ndc: NDArray[np.floating], tolerance_ndc: float) -> NDArray[np.bool_]:
        """(N,) whether nothing of the surface lies before the points (N, 3) by more than the tolerance; also where nothing covers the pixel's centre."""
        size = len(self.face_id)
        columns, rows = (np.clip(np.floor(at).astype(int), 0, size - 1) for at in ndc_to_px(points_ndc, size).T)
        return (points_ndc[:, 2] >= self.depth_ndc[rows, columns] - tolerance_ndc) | ~self.mask[rows, columns]

    @cached_property
    def barycentric(self) -> NDArray[np.float32]:
        """(S, S, 3) float32 weights of the face's corners, 0 where empty. Computed when first asked for."""
        weights = np.zeros((*self.face_id.shape, 3), np.float32)
        _barycentric(self.face_id, self.points_px, self.faces, weights)
        return weights


def rasterise(points_ndc: NDArray[np.floating], faces: NDArray[np.integer], size_px: int, cull: bool = False) -> RasterBuffer:
    """Draw a mesh orthographically.

    Args:
        points_ndc: (V, 3), NDC, y up, z towards the camera; what lies outside [-1, 1] in x or y is cut off, z is not.
        faces: (F, 3) corners, counter-clockwise from outside. size_px: side S of the square image.
        cull: leave out faces seen from behind (faster; wrong where a surface is open).
    """
    if size_px < 1:
        raise ValueError(f"size_px must be at least 1, not {size_px}")
    points_px = points_to_px(points_ndc, size_px)
    corners = np.ascontiguousarray(faces, np.int32)
    depth = np.full((size_px, size_px), FAR, np.float32)
    face_id = np.full((size_px, size_px), -1, np.int32)
    _fill(points_px, corners, cull, depth, face_id)
    depth[face_id < 0] = 0
    return RasterBuffer(face_id, depth, points_px, corners)


def interpolate(buffer: RasterBuffer, faces: NDArray[np.integer], attributes: NDArray[np.floating]) -> NDArray[np.float32]:
    """(V, C) attributes at the corners of `faces` (F, 3) -> (S, S, C) float32 at each pixel, 0 where empty.

    `faces` may index other vertices than the drawn ones (texture corners), but must have as many rows.
    """
    image = np.zeros((*buffer.face_id.shape, attributes.shape[1]), np.float32)
    corners = np.ascontiguousarray(faces, np.int32)
    _interpolate(buffer.face_id, buffer.points_px, buffer.faces, corners, np.ascontiguousarray(attributes, np.float32), image)
    return image


def interpolate_down(buffer: RasterBuffer, attributes: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Anti-aliased picture at half the buffer's size: each pixel is the mean of its covered sub-samples (2 x 2).

    The background does not bleed in: a pixel at the outline has the subject's own colour, as in a photograph after it is cut out by its mask.

    Args:
        buffer: drawn at (2S, 2S). attributes: (V, C) at the drawn vertices.

    Returns: (S, S, C) float32, 0 outside the mask; (S, S) bool mask, True where at least half of the pixel is covered.
    """
    size = buffer.face_id.shape[0] // 2
    image = np.zeros((size, size, attributes.shape[1]), np.float32)
    mask = np.zeros((size, size), np.bool_)
    _interpolate_down(buffer.face_id, buffer.points_px, buffer.faces, np.ascontiguousarray(attributes, np.float32), image, mask)
    return image, mask


def mean_of_covered(image: NDArray[np.float32] | NDArray[np.uint8], covered: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """`interpolate_down` for a picture that exists already: (2S, 2S, C) uint8 or float32 and where it is covered -> (S, S, C) float32 and the (S, S) mask."""
    size = image.shape[0] // 2
    result = np.zeros((size, size, image.shape[2]), np.float32)
    mask = np.zeros((size, size), np.bool_)
    _mean_of_covered(image, covered, result, mask)
    return result, mask


def sample_picture(image: NDArray[np.uint8] | NDArray[np.floating], pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bilinear (N, C) values of (T, T, C) at (N, 2) pixel coordinates (centres at half-integers), clamped to the image."""
    size = image.shape[0]
    at = np.clip(np.asarray(pixels, np.float32) - 0.5, 0, size - 1)
    low = np.minimum(np.floor(at).astype(int), size - 2)
    part = at - low
    (x, y), (fx, fy) = low.T, part.T[..., None]
    top = image[y, x] * (1 - fx) + image[y, x + 1] * fx
    bottom = image[y + 1, x] * (1 - fx) + image[y + 1, x + 1] * fx
    return top * (1 - fy) + bottom * fy


def rasterise_depth(points_px: NDArray[np.float32], faces: NDArray[np.int32], depth: NDArray[np.float32]) -> None:
    """Depth only, into `depth` (S, S) float32, which must hold the background value. points_px: (V, 3) float32, u right, v down, z towards the camera."""
    _fill_depth(points_px, faces, depth)


@numba.njit(nogil=True, cache=True)
def edge(ax: np.float32, ay: np.float32, bx: np.float32, by: np.float32, px: np.float32, py: np.float32) -> np.float32:
    # Swapping a and b negates every product exactly: that is what keeps shared edges watertight. Never compile this with fastmath.
    return (ax - px) * (by - py) - (ay - py) * (bx - px)


@numba.njit(nogil=True, cache=True)
def span(a: np.float32, b: np.float32, c: np.float32, size: int) -> tuple[int, int]:
    # Pixels whose centres lie between the smallest and the largest of three coordinates, clipped to the image.
    # The clip comes before the conversion: a far-away coordinate does not fit an integer.
    limit = np.float32(size)
    low = min(max(min(a, min(b, c)), np.float32(0)), limit)
    high = min(max(max(a, max(b, c)), np.float32(-1)), limit)
    return int(np.ceil(low - np.float32(0.5))), min(int(np.floor(high - np.float32(0.5))), size - 1)


@numba.njit(nogil=True, cache=True)
def front_first(points: Floats, faces: Ints, cull: bool, size: int) -> tuple[Ints, int, int]:
    """Order in which to draw: faces seen from the front, then (unless culled) the others, which the first ones mostly hide; none that meets no pixel."""
    order = np.empty(faces.shape[0], np.int32)
    front, back = 0, faces.shape[0]
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        first, last = span(ax, bx, cx, size)
        if first > last:
            continue
        first, last = span(ay, by, cy, size)
        if first > last:
            continue
        area = edge(ax, ay, bx, by, cx, cy)
        if area < 0:  # v points down, so a face seen from its front has negative area here
            order[front] = face
            front += 1
        elif area > 0 and not cull:
            back -= 1
            order[back] = face
    return order, front, back


@numba.njit(nogil=True, cache=True)
def depth_at(points: Floats, a: int, b: int, c: int, sign: np.float32, x: np.float32, y: np.float32) -> np.float32:
    """z of the triangle with corners a, b, c at (x, y), `FAR` beside it. sign: -1 for one seen from its front, 1 from behind."""
    ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
    wa = sign * edge(bx, by, cx, cy, x, y)
    wb = sign * edge(cx, cy, ax, ay, x, y)
    wc = sign * edge(ax, ay, bx, by, x, y)
    total = wa + wb + wc
    if wa >= 0 and wb >= 0 and wc >= 0 and total > 0:
        return (wa * points[a, 2] + wb * points[b, 2] + wc * points[c, 2]) / total
    return FAR


@numba.njit(nogil=True, cache=True)
def _fill(points: Floats, faces: Ints, cull: bool, depth: Floats, face_id: Ints) -> None:
    size = depth.shape[0]
    half = np.float32(0.5)
    order, front, back = front_first(points, faces, cull, size)
    for step in range(front + faces.shape[0] - back):
        face = order[step] if step < front else order[back + step - front]
        sign = np.float32(-1) if step < front else np.float32(1)
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        nearest = max(points[a, 2], max(points[b, 2], points[c, 2]))
        first_x, last_x = span(points[a, 0], points[b, 0], points[c, 0], size)
        first_y, last_y = span(points[a, 1], points[b, 1], points[c, 1], size)
        for row in range(first_y, last_y + 1):
            y = np.float32(row) + half
            for column in range(first_x, last_x + 1):
                if nearest <= depth[row, column]:
                    continue
                z = depth_at(points, a, b, c, sign, np.float32(column) + half, y)
                if z > depth[row, column]:
                    depth[row, column] = z
                    face_id[row, column] = face


@numba.njit(nogil=True, cache=True)
def _fill_depth(points: Floats, faces: Ints, depth: Floats) -> None:
    # The same loop without face ids: the light bake runs it hundreds of times per subject, and cracks do not matter to it.
    size = depth.shape[0]
    half = np.float32(0.5)
    order, front, back = front_first(points, faces, False, size)
    for step in range(front + faces.shape[0] - back):
        face = order[step] if step < front else order[back + step - front]
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        az, bz, cz = points[a, 2], points[b, 2], points[c, 2]
        nearest = max(az, max(bz, cz))
        first_x, last_x = span(ax, bx, cx, size)
        first_y, last_y = span(ay, by, cy, size)
        scale = np.float32(1) / edge(ax, ay, bx, by, cx, cy)
        for row in range(first_y, last_y + 1):
            y = np.float32(row) + half
            for column in range(first_x, last_x + 1):
                if nearest <= depth[row, column]:
                    continue
                x = np.float32(column) + half
                wa = scale * edge(bx, by, cx, cy, x, y)
                wb = scale * edge(cx, cy, ax, ay, x, y)
                wc = np.float32(1) - wa - wb
                if wa >= 0 and wb >= 0 and wc >= 0:
                    depth[row, column] = max(depth[row, column], wa * az + wb * bz + wc * cz)


@numba.njit(nogil=True, cache=True)
def _weights(points: Floats, faces: Ints, face: int, row: int, column: int) -> tuple[np.float32, np.float32, np.float32]:
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    x, y = np.float32(column) + np.float32(0.5), np.float32(row) + np.float32(0.5)
    wa = edge(points[b, 0], points[b, 1], points[c, 0], points[c, 1], x, y)
    wb = edge(points[c, 0], points[c, 1], points[a, 0], points[a, 1], x, y)
    wc = edge(points[a, 0], points[a, 1], points[b, 0], points[b, 1], x, y)
    scale = np.float32(1) / (wa + wb + wc)
    return wa * scale, wb * scale, wc * scale


@numba.njit(nogil=True, cache=True)
def _barycentric(face_id: Ints, points: Floats, faces: Ints, weights: Floats) -> None:
    for row in range(face_id.shape[0]):
        for column in range(face_id.shape[1]):
            face = face_id[row, column]
            if face >= 0:
                weights[row, column, 0], weights[row, column, 1], weights[row, column, 2] = _weights(points, faces, face, row, column)


@numba.njit(nogil=True, cache=True)
def _interpolate(face_id: Ints, points: Floats, faces: Ints, corners: Ints, attributes: Floats, image: Floats) -> None:
    for row in range(face_id.shape[0]):
        for column in range(face_id.shape[1]):
            face = face_id[row, column]
            if face < 0:
                continue
            wa, wb, wc = _weights(points, faces, face, row, column)
            a, b, c = corners[face, 0], corners[face, 1], corners[face, 2]
            for k in range(attributes.shape[1]):
                image[row, column, k] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]


@numba.njit(nogil=True, cache=True)
def _interpolate_down(face_id: Ints, points: Floats, faces: Ints, attributes: Floats, image: Floats, mask: Bools) -> None:
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            covered = 0
            for sub in range(4):
                y, x = 2 * row + sub // 2, 2 * column + sub % 2
                face = face_id[y, x]
                if face < 0:
                    continue
                covered += 1
                wa, wb, wc = _weights(points, faces, face, y, x)
                a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
                for k in range(attributes.shape[1]):
                    image[row, column, k] += wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
            mask[row, column] = covered >= 2
            scale = np.float32(1) / np.float32(covered) if covered >= 2 else np.float32(0)
            for k in range(attributes.shape[1]):
                image[row, column, k] *= scale


@numba.njit(nogil=True, cache=True)
def _mean_of_covered(image: NDArray, covered: Bools, result: Floats, mask: Bools) -> None:
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            count = 0
            for sub in range(4):
                y, x = 2 * row + sub // 2, 2 * column + sub % 2
                if covered[y, x]:
                    count += 1
                    for k in range(image.shape[2]):
                        result[row, column, k] += image[y, x, k]
            mask[row, column] = count >= 2
            scale = np.float32(1) / np.float32(count) if count >= 2 else np.float32(0)
            for k in range(image.shape[2]):
                result[row, column, k] *= scale
