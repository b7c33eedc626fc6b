"""How sure the network is of each piece of surface.

Occupancy is a probability. Walking out along the normal from `REACH_M` inside a surface point to `REACH_M` outside it, the drop of that probability is the
network's own estimate of how likely the true surface lies between the two: near 1 where the photo decides the matter, low where it guesses (backs, depth).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import HALF_EXTENT_M

REACH_M = 0.02  # of the 1.80 m subject


def confidence_at(
    occupancy: Callable[[NDArray[np.float32]], NDArray[np.float32]], vertices_ndc: NDArray[np.floating], normals: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(V, 3) NDC of surface points and their unit normals -> (V,) float32 0..1: the probability, by the network, that the surface is within 2 cm of each."""
    step = normals * (REACH_M / HALF_EXTENT_M)
    inner, outer = (occupancy(np.ascontiguousarray(points, np.float32)) for points in (vertices_ndc - step, vertices_ndc + step))
    return np.clip(inner - outer, 0, 1)


def confidence_colours(confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(V,) 0..1 -> (V, 3) uint8 sRGB: violet is a guess, green half sure, yellow sure (viridis, readable by the colour-blind)."""
    import cv2

    levels = np.clip(np.asarray(confidence) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1])
