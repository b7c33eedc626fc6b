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
UNSEEN_PX = 192  # the unseen side is smooth: a small picture of it is enough


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
    back_picture = unseen_side(texture, buffer.mask)
    back = sample(back_picture, pixels * (back_picture.shape[0] / size))
    return np.clip(weight * front + (1 - weight) * back + 0.5, 0, 255).astype(np.uint8)


def unseen_side(texture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(U, U, 3) picture of the back, U at most UNSEEN_PX: colours of a band along the mask's inner edge, spread inwards, more sideways than up and down.

    Fine scales win where they reach, coarser ones fill the rest. Only the fine ones spread skin: the back of a thin arm is skin, the back of a coat
    beside a hand is not, and the back of a head is hair.
    """
    size = min(UNSEEN_PX, texture.shape[0])
    small = cv2.resize(texture, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    inside = cv2.resize(mask.astype(np.uint8), (size, size), interpolation=cv2.INTER_AREA) > 0
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    band = ((depth > 0) & (depth <= max(2.0, 0.02 * size))).astype(np.float32)
    cloth = band * np.where(skin_like(small.astype(np.uint8), inside), np.float32(0.05), np.float32(1))
    result = np.zeros(small.shape, np.float32)
    filled = np.zeros(band.shape, np.float32)
    for sigma in size * np.array([0.006, 0.012, 0.025, 0.05, 0.1, 0.2, 0.4]):
        preferred = band if sigma < 0.02 * size else cloth
        spread = {"sigmaX": float(sigma), "sigmaY": 0.3 * float(sigma), "borderType": cv2.BORDER_CONSTANT}
        reach = cv2.GaussianBlur(band, (0, 0), **spread)
        weight = cv2.GaussianBlur(preferred, (0, 0), **spread)
        colour = cv2.GaussianBlur(small * preferred[..., None], (0, 0), **spread) / np.maximum(weight, 1e-7)[..., None]
        share = np.clip(reach / 0.15, 0, 1) * (1 - filled)
        result += share[..., None] * colour
        filled += share
    rest = small[inside].mean(axis=0) if inside.any() else np.full(3, 128, np.float32)
    return np.clip(result + (1 - filled)[..., None] * rest + 0.5, 0, 255).astype(np.uint8)


def skin_like(picture: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(U, U) bool: pixels with the chroma of the face, where the middle of the head has the chroma of skin; else nothing.

    The limits in Cr and Cb are the usual ones, which hold for light and dark skin alike.
    """
    rows, _ = np.nonzero(inside)
    if len(rows) == 0:
        return inside
    chroma = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32)
    usual = (chroma[..., 0] > 135) & (chroma[..., 0] < 180) & (chroma[..., 1] > 80) & (chroma[..., 1] < 128)
    top, height = rows.min(), rows.max() + 1 - rows.min()
    head = np.zeros_like(inside)
    head[round(top + 0.05 * height) : round(top + 0.12 * height)] = True
    face = head & inside & usual
    if face.sum() < 0.3 * (head & inside).sum():
        return np.zeros_like(inside)
    return usual & (np.linalg.norm(chroma - np.median(chroma[face], axis=0), axis=2) < 14)


def sample(image: NDArray[np.uint8], pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bilinear (N, 3) values of (T, T, 3) at (N, 2) pixel coordinates (centres at half-integers), clamped to the image."""
    size = image.shape[0]
    at = np.clip(np.asarray(pixels, np.float32) - 0.5, 0, size - 1)
    low = np.minimum(np.floor(at).astype(int), size - 2)
    part = at - low
    (x, y), (fx, fy) = low.T, part.T[..., None]
    top = image[y, x] * (1 - fx) + image[y, x + 1] * fx
    bottom = image[y + 1, x] * (1 - fx) + image[y + 1, x + 1] * fx
    return top * (1 - fy) + bottom * fy
