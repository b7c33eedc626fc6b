"""A colour for every point of a surface: the photo's where it sees the surface, that of its other side elsewhere, without a seam between the two."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.backs import without_rim
from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.raster import rasterise, sample_picture

DEPTH_TOLERANCE_NDC = 0.015  # 1.5 cm: two cells of the 256 grid
SIDE_PX = 512  # of the pictures that sideways surfaces take their blurred colours from


class SurfaceColours:
    """The colours of one mesh in its framed view.

    Args:
        vertices_ndc (V, 3), faces (F, 3). texture (T, T, 3) uint8: the framed photo, its colours continued beyond the outline. other_side (T, T, 3) uint8: the
            side that the photo does not show, seen through from the front (`data/backs.py`); None: as the photo, without its rim.
    """

    def __init__(
        self, vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], texture: NDArray[np.uint8], other_side: NDArray[np.uint8] | None = None
    ) -> None:
        self._texture = texture
        self._buffer = rasterise(np.asarray(vertices_ndc, np.float32), faces, texture.shape[0])
        self._back = without_rim(texture, self._buffer.mask) if other_side is None else other_side
        size = min(SIDE_PX, len(texture))
        small = (cv2.resize(side, (size, size), interpolation=cv2.INTER_AREA) for side in (texture, self._back))
        self._front_side, self._back_side = (cv2.GaussianBlur(side, (0, 0), sigmaX=0.006 * size, sigmaY=0.012 * size) for side in small)

    def at(self, points_ndc: NDArray[np.floating], normals: NDArray[np.floating]) -> NDArray[np.uint8]:
        """(N, 3) points on the surface and (N, 3) unit normals -> (N, 3) uint8 sRGB."""
        points = np.asarray(points_ndc, np.float32)
        seen = self.seen(points)
        weight = _ramp(normals[:, 2], 0.05, 0.4) * seen
        colours = _at(self._texture, points)
        rest = weight < 1
        share = weight[rest, None]
        colours[rest] = share * colours[rest] + (1 - share) * self._unseen(points[rest], normals[rest], seen[rest])
        return np.clip(colours + 0.5, 0, 255).astype(np.uint8)

    def seen(self, points_ndc: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(N,) whether the photo sees the points; those on the very outline, where no pixel's centre is covered, count as seen."""
        return self._buffer.seen(points_ndc, DEPTH_TOLERANCE_NDC)

    def _unseen(self, points: NDArray[np.float32], normals: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What surfaces have that the photo sees at a slant or not at all. A side view would show each pixel of the photo as a streak, so sides take a blurred
        one: of the photo where they look towards it, as the rim of a cheek before hair does, else of the other side."""
        towards, sideways = (_ramp(normals[:, 2], 0.0, 0.15) * seen)[:, None], 1 - _ramp(np.abs(normals[:, 2]), 0.2, 0.6)[:, None]
        side = towards * _at(self._front_side, points) + (1 - towards) * _at(self._back_side, points)
        return sideways * side + (1 - sideways) * _at(self._back, points)


def _at(picture: NDArray[np.uint8], points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 3) colours of a framed picture (S, S, 3) at the pixels of points (N, 3)."""
    return sample_picture(picture, ndc_to_px(points_ndc, len(picture)))


def _ramp(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.floating]:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)
