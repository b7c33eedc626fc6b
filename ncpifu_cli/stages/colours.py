"""A colour for every vertex: the photo's where it sees the surface, a calm continuation of the outline's colours elsewhere.

The unseen side is not invented and not a mirror image (a face on the back of a head): each height takes the colours that the photo shows at the outline,
so trousers stay trousers and the two sides meet without a seam.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.raster import rasterise
from ncpifu_cli.geometry.surface import vertex_normals

DEPTH_TOLERANCE_NDC = 0.015  # 1.5 cm: two cells of the 256 grid


def vertex_colours(vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours of a mesh in the framed view.

    Args: vertices_ndc (V, 3), faces (F, 3), texture (T, T, 3) uint8: the framed photo, its colours continued beyond the outline.
    Returns (V, 3) uint8 sRGB.
    """
    size = texture.shape[0]
    points = np.asarray(vertices_ndc, np.float32)
    buffer = rasterise(points, faces, size)
    normals = vertex_normals(points, faces)
    pixels = ndc_to_px(points, size)
    columns, rows = (np.clip(np.floor(pixels[:, axis]).astype(int), 0, size - 1) for axis in (0, 1))
    seen = points[:, 2] >= buffer.depth_ndc[rows, columns] - DEPTH_TOLERANCE_NDC
    seen |= ~buffer.mask[rows, columns]  # on the very outline no pixel centre is covered
    weight = np.clip((normals[:, 2] - 0.05) / 0.35, 0, 1)
    weight = (weight * weight * (3 - 2 * weight) * seen)[:, None]
    front = sample(texture, pixels)
    back = sample(unseen_side(texture, buffer.mask), pixels)
    return np.clip(weight * front + (1 - weight) * back + 0.5, 0, 255).astype(np.uint8)


def unseen_side(texture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(T, T, 3) picture of the back: colours from a band along the mask's inner edge, spread inwards, further sideways than up and down.

    Fine scales win where they reach, coarser ones fill the rest.
    """
    size = texture.shape[0]
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    band = ((depth > 0) & (depth <= max(2.0, 0.02 * size))).astype(np.float32)
    source = texture.astype(np.float32) * band[..., None]
    result = np.zeros(texture.shape, np.float32)
    filled = np.zeros(band.shape, np.float32)
    sigma = max(1.0, 0.006 * size)
    while sigma < size / 2:
        blurred = {"sigmaX": sigma, "sigmaY": 0.4 * sigma}
        weight = cv2.GaussianBlur(band, (0, 0), **blurred)
        colour = cv2.GaussianBlur(source, (0, 0), **blurred) / np.maximum(weight, 1e-6)[..., None]
        share = np.clip(weight / 0.15, 0, 1) * (1 - filled)
        result += share[..., None] * colour
        filled += share
        sigma *= 2
    mean = texture[mask].mean(axis=0) if mask.any() else np.full(3, 128.0)
    result += (1 - filled)[..., None] * mean.astype(np.float32)
    return np.clip(result + 0.5, 0, 255).astype(np.uint8)


def sample(image: NDArray[np.uint8], pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bilinear (N, 3) values of (T, T, 3) at (N, 2) pixel coordinates (centres at half-integers), clamped to the image."""
    size = image.shape[0]
    at = np.clip(np.asarray(pixels, np.float32) - 0.5, 0, size - 1)
    low = np.minimum(np.floor(at).astype(int), size - 2)
    part = at - low
    (x, y), (fx, fy) = low.T, part.T[..., None]
    values = image.astype(np.float32)
    top = values[y, x] * (1 - fx) + values[y, x + 1] * fx
    bottom = values[y + 1, x] * (1 - fx) + values[y + 1, x + 1] * fx
    return top * (1 - fy) + bottom * fy
