"""Pixels -> what the encoder sees. The one place where colours become network values, for training and for photographs."""

import cv2
import numpy as np
from numpy.typing import NDArray

DETAIL_PX = 512  # side of the framed person that the normal network looks at
CLOSE_PX = 2 * DETAIL_PX  # the same where it looks closely
HEAD_PX = 320  # the same where it looks at a head alone,
HEAD_HALF_NDC = 0.2  # in a square whose half side is this of the framed person's,
HEAD_CENTRE_NDC = 0.125  # its centre so far below the top of the head
BACK_PX = 256  # side of the framed person whose other side is told


def network_input(rgb: NDArray[np.uint8] | NDArray[np.float32], coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours in [-1, 1] times coverage, so that the background is 0 (method section 2).

    Args: rgb (S, S, 3), 0..255, true colours also at the silhouette (not darkened by the background). coverage (S, S), 0..1.
    Returns (3, S, S) float32.
    """
    scaled = rgb.astype(np.float32) / np.float32(127.5) - 1
    return np.ascontiguousarray((scaled * coverage[..., None]).transpose(2, 0, 1), dtype=np.float32)


def masked_input(rgb: NDArray[np.uint8] | NDArray[np.float32], coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the networks of normals and backs see: `network_input`, and the coverage as a fourth channel. (4, H, W) float32."""
    return np.concatenate([network_input(rgb, coverage), coverage[None].astype(np.float32)])


def resize_masked(rgb: NDArray[np.uint8], mask: NDArray[np.bool_] | NDArray[np.float32], size_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Anti-aliased resize that never mixes background into the subject's colours.

    Args: rgb (H, W, 3) 0..255; mask (H, W), bool or coverage 0..1. Returns rgb (S, S, 3) float32 0..255 and coverage (S, S) float32 0..1.
    """
    shrink = max(rgb.shape[:2]) > size_px
    how = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    if mask.dtype != np.bool_:
        premultiplied, coverage = (cv2.resize(part, (size_px, size_px), interpolation=how) for part in (rgb * mask[..., None], mask))
        return true_colours(premultiplied, coverage), coverage
    alpha = mask.astype(np.uint8) * np.uint8(255)  # whole numbers: the loader's every picture comes by here
    subject = cv2.bitwise_and(np.ascontiguousarray(rgb), np.ascontiguousarray(rgb), mask=alpha)
    premultiplied = cv2.resize(subject, (size_px, size_px), interpolation=how).astype(np.float32)
    coverage = cv2.resize(alpha, (size_px, size_px), interpolation=how).astype(np.float32) * np.float32(1 / 255)
    return true_colours(premultiplied, coverage), coverage


def true_colours(premultiplied: NDArray[np.float32], coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 3) colours times coverage, 0..255, and (H, W) coverage 0..1 -> colours that are true up to the outline, 0..255."""
    return np.minimum(premultiplied / np.maximum(coverage, np.float32(1 / 255))[..., None], np.float32(255))


def nearest_filled(picture: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W, 3), its pixels that are not `known` (H, W) of the colour of the nearest that is; at least one must be."""
    _, nearest = cv2.distanceTransformWithLabels((~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    source = np.zeros(int(nearest.max()) + 1, np.int64)
    source[nearest[known]] = np.flatnonzero(known)
    return picture.reshape(-1, 3)[source[nearest]]
