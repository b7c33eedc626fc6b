"""Fine detail for a mesh: normals that a network sees in the photo at twice the resolution, laid onto the surface as relief (docs/normals.md)."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.normals import estimate_normals
from ncpifu_cli.geometry.refine import refine

if TYPE_CHECKING:
    import torch


def add_detail(
    weights: Path,
    vertices_ndc: NDArray[np.floating],
    faces: NDArray[np.integer],
    image: NDArray[np.uint8],
    coverage: NDArray[np.float32],
    device: "torch.device | str" = "cpu",
) -> NDArray[np.float64]:
    """(V, 3) vertices with the relief of the framed photo, image (S, S, 3) uint8 sRGB and coverage (S, S) 0..1. weights: of the normal network."""
    return refine(vertices_ndc, faces, *estimate_normals(weights, image, coverage, device))
