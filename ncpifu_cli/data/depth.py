"""Depth of the surfaces along each pixel's ray: a dense target that teaches the encoder what points alone teach slowly.

Four layers: front and back, the first and the last surface, and between them where the widest gap begins and ends, as between a near and a far leg. Where a
ray passes no gap, both of these lie half-way between front and back.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.geometry.gaps import widest_gap
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.raster import rasterise

SIZE_PX = 128
LAYERS = 4
SMALLEST_GAP_NDC = 0.02  # 2 cm: folds of a jacket are no gap
JUMP_NDC = 0.03  # 3 cm between neighbours: another surface
FULL_SCALE = 65534  # steps over NDC -1..1; 0 is kept for "nothing here"


def depth_maps(scan: Scan, camera: Camera, size_px: int = SIZE_PX) -> NDArray[np.uint16]:
    """(4 S, S) uint16: front, back, begin and end of the gap, one above the other; 1 + (z_ndc + 1) / 2 * 65534, 0 where there is no surface."""
    points = camera.world_to_ndc(scan.vertices)
    front = rasterise(points, scan.faces, size_px)
    back = rasterise(points * np.array([1, 1, -1], np.float32), scan.faces, size_px)
    begin, end = widest_gap(points, scan.faces, size_px, lambda at: scan.inside_test.inside(camera.ndc_to_world(at)), SMALLEST_GAP_NDC)
    middle = (front.depth_ndc - back.depth_ndc) / 2
    layers = [front.depth_ndc, -back.depth_ndc, np.where(begin > end, begin, middle), np.where(begin > end, end, middle)]
    return encode_depth(np.concatenate(layers), np.concatenate([front.mask] * LAYERS))


def encode_depth(depth_ndc: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """NDC depth -> 1 + (z_ndc + 1) / 2 * 65534, 0 outside the mask: steps of 0.03 mm."""
    steps = 1 + np.rint((depth_ndc.clip(-1, 1) + 1) / 2 * FULL_SCALE)
    return np.where(mask, steps, 0).astype(np.uint16)


def decode_depth(image: NDArray[np.uint16], size_px: int, layers: int = LAYERS) -> NDArray[np.float32]:
    """(4 S, S) uint16 -> the first so many (layers, size_px, size_px) float32 NDC by the nearest pixel, NaN where there is no surface.

    Renders made before there were gaps have (2 S, S): their gaps are unknown, NaN. Raises ValueError for any other shape.
    """
    stored = image.reshape(-1, image.shape[1], image.shape[1])
    if len(stored) not in (2, LAYERS):
        raise ValueError(f"depth maps of {len(stored)} layers")
    small = np.zeros((layers, size_px, size_px), np.uint16)
    for place, layer in enumerate(stored[:layers]):
        small[place] = cv2.resize(layer, (size_px, size_px), interpolation=cv2.INTER_NEAREST)
    depth = (small.astype(np.float32) - 1) * np.float32(2 / FULL_SCALE) - 1
    return np.where(small > 0, depth, np.float32(np.nan))


def spread_depth(depth: NDArray[np.float32], reach_px: float) -> NDArray[np.float32]:
    """(L, S, S) with NaN where there is no surface -> the same, its outline continued outwards: up to `reach_px` from it, the depth of the nearest surface.

    Queries read surfaces by interpolation: beside the outline, where one of the four pixels is empty, they would else read what nothing was asked of.
    """
    missing = np.isnan(depth[0])
    if missing.all():
        return depth
    distance, (row, column) = distance_transform_edt(missing, return_indices=True)
    return np.where(distance <= reach_px, depth[:, row, column], np.float32(np.nan))


def move_depth(depth: NDArray[np.float32], move: Callable[[NDArray, int], NDArray], size_px: int) -> NDArray[np.float32]:
    """(L, S, S) with NaN where there is no surface -> (L, size_px, size_px), moved in the image plane and resampled.

    Interpolated on a surface, since the nearest pixel would make stairs of it; by the nearest pixel where the surface ends or jumps, since there is nothing
    between a near and a far leg.

    Args: move: (image, OpenCV's interpolation) -> the moved image of the same size, 0 where nothing came from.
    """

    def resampled(image: NDArray, how: int) -> NDArray:
        moved = move(image, how)
        if len(moved) == size_px:
            return moved
        return np.asarray(cv2.resize(moved, (size_px, size_px), interpolation=cv2.INTER_AREA if how == cv2.INTER_LINEAR and len(moved) > size_px else how))

    known = resampled(np.isfinite(depth[0]).astype(np.uint8), cv2.INTER_NEAREST) > 0
    linear = np.stack([resampled(layer, cv2.INTER_LINEAR) for layer in depth])
    nearest = np.stack([resampled(layer, cv2.INTER_NEAREST) for layer in depth])
    smooth = np.abs(linear - nearest) < JUMP_NDC  # beside the outline `linear` is NaN, and never less
    smooth[2:] = smooth[2:].all(axis=0)  # a gap must not begin by one rule and end by the other
    return np.where(known, np.where(smooth, linear, nearest), np.float32(np.nan)).astype(np.float32)
