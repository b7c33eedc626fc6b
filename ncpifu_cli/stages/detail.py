"""Relief for a mesh: normals that a network sees in the photo at twice the detail, laid onto the surface (docs/normals.md)."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.normals import SIZE_PX as DETAIL_PX
from ncpifu_cli.data.normals import estimate_normals, find_normal_weights
from ncpifu_cli.geometry.refine import refine

if TYPE_CHECKING:
    import torch

__all__ = ["DETAIL_PX", "add_detail"]


def add_detail(
    vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], image: NDArray[np.uint8], coverage: NDArray[np.float32], device: "torch.device"
) -> NDArray[np.float64]:
    """(V, 3) vertices with the relief of the framed photo, image (S, S, 3) and coverage (S, S) 0..1; as they are where the normal network is not installed."""
    weights = find_normal_weights()
    if weights is None:
        return np.asarray(vertices_ndc, np.float64)
    return refine(vertices_ndc, faces, *estimate_normals(weights, image, coverage, device))
