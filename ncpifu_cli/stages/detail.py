"""Fine detail for a mesh: normals that a network sees in the photo at a higher resolution, laid onto the surface as relief (docs/normals.md)."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.framing import SUBJECT_SHARE, head_place
from ncpifu_cli.data.normals import HEAD_WINDOW, SOFT, estimate_normals
from ncpifu_cli.geometry.refine import refine
from ncpifu_cli.geometry.subdivide import split_faces

if TYPE_CHECKING:
    import torch

HEAD_NDC = 2 * SUBJECT_SHARE * (HEAD_WINDOW - SOFT)  # from the top: where faces are cut finer, as far down as the close look counts alone
HALF_WIDTH_NDC, CROWN_NDC = 0.17, 0.07  # and so far to the sides of the middle of its upper part
ABOVE_NDC = 0.03  # a surface may end a little above its outline
FINE_NDC = 0.005  # edges there are as short as this in the mean, at most TIMES cut in two
TIMES = 2


def add_detail(
    weights: Path,
    vertices_ndc: NDArray[np.floating],
    faces: NDArray[np.integer],
    image: NDArray[np.uint8],
    coverage: NDArray[np.float32],
    device: "torch.device | str" = "cpu",
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertices (V', 3) and faces (F', 3) with finer triangles on the head, and the relief of the framed photo, image (S, S, 3) uint8 sRGB and coverage (S, S)
    0..1, S = CLOSE_PX. weights: of the normal network."""
    vertices, faces = with_fine_head(vertices_ndc, faces, *crown(coverage))
    return refine(vertices, faces, *estimate_normals(weights, image, coverage, device)), faces


def crown(coverage: NDArray[np.float32]) -> tuple[float, float]:
    """NDC x and y of the top of a framed person's head, coverage (S, S) 0..1; of the picture's middle where nobody is."""
    size, person = len(coverage), coverage >= 0.5
    if not person.any():
        return 0.0, 0.0
    top, middle = head_place(person, CROWN_NDC * size / 2)
    return (2 * middle + 1) / size - 1, 1 - 2 * top / size


def with_fine_head(vertices: NDArray[np.floating], faces: NDArray[np.integer], middle: float, top: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The same surface, (V, 3) NDC and (F, 3), with short edges where the head is, whose `crown` is at x `middle` and y `top`: an eye is as wide as three cells
    of the grid that bodies have."""
    points, corners = np.asarray(vertices, np.float64), np.asarray(faces, np.int32)
    for _ in range(TIMES):
        inside = (points[:, 1] > top - HEAD_NDC) & (points[:, 1] < top + ABOVE_NDC) & (np.abs(points[:, 0] - middle) < HALF_WIDTH_NDC)
        head = np.asarray(inside[corners].all(axis=1))
        edges = points[corners[head]] - points[np.roll(corners[head], -1, axis=1)]
        if not head.any() or np.linalg.norm(edges, axis=2).mean() < FINE_NDC:
            break
        points, corners = split_faces(points, corners, head)
    return points, corners
