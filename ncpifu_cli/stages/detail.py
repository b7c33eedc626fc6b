"""Fine detail for a mesh: normals that a network sees in the photo at a higher resolution, laid onto the surface as relief (docs/normals.md)."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.backs import goes_on_behind
from ncpifu_cli.data.framing import FramedView, crown
from ncpifu_cli.data.normals import estimate_normals, with_folds_behind
from ncpifu_cli.geometry.fair import fair_ground
from ncpifu_cli.geometry.refine import refine
from ncpifu_cli.geometry.subdivide import split_faces
from ncpifu_cli.geometry.surface import vertex_normals

if TYPE_CHECKING:
    import torch

FINE_NDC, FINE_HEAD_NDC = 0.005, 0.0025  # edges are as short as this in the mean, in front and at the front of the head
TIMES = 2  # where they are longer, they are cut in two, at most so often
HEAD_NDC, HALF_WIDTH_NDC = 0.32, 0.17  # from the top of the head down, to the sides of the middle of its upper part
RIM_NDC, FADE_NDC = 0.01, 0.02  # of what counts as within the head
ABOVE_NDC = 0.03  # a surface may end a little above its outline


def add_detail(
    weights: Path,
    vertices_ndc: NDArray[np.floating],
    faces: NDArray[np.integer],
    image: NDArray[np.uint8],
    coverage: NDArray[np.float32],
    device: "torch.device | str" = "cpu",
    head: FramedView | None = None,
    back_weights: Path | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertices (V', 3) and faces (F', 3): even ground, finer triangles in front, and the relief of the framed photo.

    Args: weights, of the normal network; vertices_ndc (V, 3) and faces (F, 3) of a closed surface; image (S, S, 3) uint8 sRGB and coverage (S, S) 0..1 with
        S = CLOSE_PX. head, from `frame_head`, shows more of the head than the picture does. back_weights, of the back network: without, the back stays smooth.
    """
    middle, top = crown(coverage) or (0.0, 0.0)
    vertices, fine = with_fine_front(fair_ground(vertices_ndc, faces), faces, middle, top)
    front, back = estimate_normals(weights, image, coverage, device, head)
    if back_weights is not None:
        back = with_folds_behind(front, back, coverage, goes_on_behind(back_weights, image, coverage, device))
    return refine(vertices, fine, front, back, within_head(coverage, middle, top)), fine


def within_head(coverage: NDArray[np.float32], middle: float, top: float) -> NDArray[np.float32]:
    """(S, S) 1 in the head whose `crown` is at x `middle` and y `top`, 0 elsewhere and at the outline, where surfaces do turn away; FADE_NDC between.

    A head of the bare network is thirty pixels high, and its chin may be where the photo has the mouth.
    """
    size = len(coverage)
    at = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1
    aside, down = HALF_WIDTH_NDC - np.abs(at - middle), HEAD_NDC - np.abs(top + at)  # rows run down
    inwards = cv2.distanceTransform((coverage >= 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * 2 / size - RIM_NDC
    return np.clip(np.minimum(np.minimum(aside[None], down[:, None]), inwards) / FADE_NDC, 0, 1).astype(np.float32)


def with_fine_front(vertices: NDArray[np.floating], faces: NDArray[np.integer], middle: float, top: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The same surface, (V, 3) NDC and (F, 3), with short edges where it faces the camera, shorter ones on the head, whose `crown` is at x `middle` and y
    `top`: an eye is as wide as three cells of the grid of 256, a hem is a step of half a cell. At the back there is no such detail to carry."""

    def front(points: NDArray[np.float64], corners: NDArray[np.int32]) -> NDArray[np.bool_]:
        return np.asarray((vertex_normals(points, corners)[corners, 2] > 0).any(axis=1))

    def head(points: NDArray[np.float64], corners: NDArray[np.int32]) -> NDArray[np.bool_]:
        inside = (points[:, 1] > top - HEAD_NDC) & (points[:, 1] < top + ABOVE_NDC) & (np.abs(points[:, 0] - middle) < HALF_WIDTH_NDC)
        return front(points, corners) & inside[corners].all(axis=1)

    points, corners = np.asarray(vertices, np.float64), np.asarray(faces, np.int32)
    for chosen_by, shortest in ((front, FINE_NDC), (head, FINE_HEAD_NDC)):
        for _ in range(TIMES):
            chosen = chosen_by(points, corners)
            edges = points[corners[chosen]] - points[np.roll(corners[chosen], -1, axis=1)]
            if not chosen.any() or np.linalg.norm(edges, axis=2).mean() < shortest:
                break
            points, corners = split_faces(points, corners, chosen)
    return points, corners
