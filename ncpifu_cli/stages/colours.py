"""A colour for every point of a surface: the photo's where it sees the surface, predicted or inferred ones elsewhere, without a seam between the two."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.raster import rasterise, sample_picture
from ncpifu_cli.geometry.surface import vertex_normals
from ncpifu_cli.stages.unseen_side import unseen_side

# (N, 3) NDC on the surface, (N, 3) the photo's colours at their pixels and (N, 3) those inferred for the other side -> (N, 3) colours, 0..255 sRGB
PredictColours = Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

DEPTH_TOLERANCE_NDC = 0.015  # 1.5 cm: two cells of the 256 grid
ALIKE = 24.0  # the other side is taken for the photo's where their colours, around a pixel, differ by less (0..255)
WORTH_ASKING = 0.03  # where the network's colours would count for less, it is not asked
SEAM_POINTS = 4096  # beside the seam, enough for a smooth picture of the light
OFFSET_PX = 64  # the difference between photo and prediction is light: smooth


class SurfaceColours:
    """The colours of one mesh in its framed view.

    Args:
        vertices_ndc (V, 3), faces (F, 3). texture (T, T, 3) uint8: the framed photo, its colours continued beyond the outline.
        silhouette (S, S) bool: the person in the framed photo; None: the mesh's own.
        predict: a network's colours, used where the photo does not see the surface, shifted to the photo's light. It is told what is inferred from the photo
            alone (`unseen_side`); None takes that as it is.
    """

    def __init__(
        self,
        vertices_ndc: NDArray[np.floating],
        faces: NDArray[np.integer],
        texture: NDArray[np.uint8],
        silhouette: NDArray[np.bool_] | None = None,
        predict: PredictColours | None = None,
    ) -> None:
        self._texture, self._predict = texture, predict
        points = np.asarray(vertices_ndc, np.float32)
        self._buffer = rasterise(points, faces, texture.shape[0])
        self._back = unseen_side(texture, self._buffer.mask if silhouette is None else silhouette)
        size = len(self._back)
        front = cv2.resize(texture, (size, size), interpolation=cv2.INTER_AREA)
        self._front_side, self._back_side = (cv2.GaussianBlur(side, (0, 0), sigmaX=0.006 * size, sigmaY=0.012 * size) for side in (front, self._back))
        if predict is not None:
            self._agreement = _agreement(front, self._back)
            self._offset = self._light_offset(points, vertex_normals(points, faces), predict)

    def at(self, points_ndc: NDArray[np.floating], normals: NDArray[np.floating]) -> NDArray[np.uint8]:
        """(N, 3) points on the surface and (N, 3) unit normals -> (N, 3) uint8 sRGB."""
        points = np.asarray(points_ndc, np.float32)
        seen = self.seen(points)
        weight = _ramp(normals[:, 2], 0.05, 0.4) * seen
        colours = self._photo(points)
        rest = weight < 1
        share = weight[rest, None]
        colours[rest] = share * colours[rest] + (1 - share) * self._unseen(points[rest], normals[rest], seen[rest])
        return np.clip(colours + 0.5, 0, 255).astype(np.uint8)

    def seen(self, points_ndc: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(N,) whether the photo sees the points; those on the very outline, where no pixel's centre is covered, count as seen."""
        return self._buffer.seen(points_ndc, DEPTH_TOLERANCE_NDC)

    def _photo(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        return sample_picture(self._texture, ndc_to_px(points, len(self._texture)))

    def _unseen(self, points: NDArray[np.float32], normals: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
        inferred = self._inferred(points, normals, seen)
        if self._predict is None:
            return inferred
        share = sample_picture(self._agreement, ndc_to_px(points, len(self._agreement)))
        asked = share[:, 0] > WORTH_ASKING
        at = points[asked]
        predicted = self._predict(at, self._photo(at), inferred[asked]) + sample_picture(self._offset, ndc_to_px(at, len(self._offset)))
        inferred[asked] += share[asked] * (predicted - inferred[asked])
        return inferred

    def _inferred(self, points: NDArray[np.float32], normals: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What surfaces have that the photo sees at a slant or not at all. A side view would show each pixel of the photo as a streak, so sides take a blurred
        one: of the photo where they look towards it, as the rim of a cheek before hair does, else of the other side."""
        pixels = ndc_to_px(points, len(self._back))
        towards, sideways = (_ramp(normals[:, 2], 0.0, 0.15) * seen)[:, None], 1 - _ramp(np.abs(normals[:, 2]), 0.2, 0.6)[:, None]
        side = towards * sample_picture(self._front_side, pixels) + (1 - towards) * sample_picture(self._back_side, pixels)
        return sideways * side + (1 - sideways) * sample_picture(self._back, pixels)

    def _light_offset(self, points: NDArray[np.float32], normals: NDArray[np.floating], predict: PredictColours) -> NDArray[np.float32]:
        """(O, O, 3) smooth picture of photo less prediction, from the vertices that the photo sees beside the seam."""
        near_seam = np.flatnonzero((normals[:, 2] > 0.2) & (normals[:, 2] < 0.8) & self.seen(points))
        offset = np.zeros((OFFSET_PX, OFFSET_PX, 3), np.float32)
        if len(near_seam) == 0:
            return offset
        at = points[near_seam[:: -(-len(near_seam) // SEAM_POINTS)]]
        photo = self._photo(at)
        difference = photo - predict(at, photo, photo)
        columns, rows = np.clip(np.floor(ndc_to_px(at, OFFSET_PX)).astype(int), 0, OFFSET_PX - 1).T
        np.add.at(offset, (rows, columns), difference)
        count = np.bincount(rows * OFFSET_PX + columns, minlength=OFFSET_PX**2).reshape(OFFSET_PX, OFFSET_PX)
        mean = offset / np.maximum(count, 1)[..., None]
        spread, reach = (cv2.GaussianBlur(picture.astype(np.float32), (0, 0), OFFSET_PX / 32) for picture in (mean, count > 0))
        return spread / (reach + 0.1)[..., None]  # far from every seam the prediction stands alone


def _agreement(front: NDArray[np.uint8], back: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(U, U, 1) from 0, where the inferred other side (U, U, 3) is nothing like the photo (U, U, 3), to 1.

    Where a face, a print or an open jacket was taken off, the inference knows why, and a network that has seen few of them blurs it. Elsewhere the network
    knows better.
    """
    difference = cv2.GaussianBlur(np.linalg.norm(front.astype(np.float32) - back, axis=2), (0, 0), 0.015 * len(back))
    return np.exp(-np.square(difference / ALIKE))[..., None]


def vertex_colours(
    vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], texture: NDArray[np.uint8], silhouette: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """(V, 3) uint8 sRGB: `SurfaceColours` at the vertices."""
    normals = vertex_normals(np.asarray(vertices_ndc, np.float32), faces)
    return SurfaceColours(vertices_ndc, faces, texture, silhouette).at(vertices_ndc, normals)


def _ramp(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.floating]:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)
