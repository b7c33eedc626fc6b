"""Feature lookup at points, with the project's half-pixel convention (see `ncpifu_cli.geometry`)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_image(features: Tensor, points_ndc: Tensor) -> Tensor:
    """Bilinear lookup of a feature map at the points' projections; the border is repeated outwards.

    Args:
        features: (B, C, H, W). points_ndc: (B, N, 2 or more), x right, y up.

    Returns (B, N, C).
    """
    grid = torch.stack([points_ndc[..., 0], -points_ndc[..., 1]], dim=-1).unsqueeze(2)  # (B, N, 1, 2)
    found = F.grid_sample(features, grid.to(features.dtype), mode="bilinear", padding_mode="border", align_corners=False)
    return found[..., 0].transpose(1, 2)


def inside_image(points_ndc: Tensor) -> Tensor:
    """(B, N, 2 or more) -> (B, N) bool: does the point project into the image?"""
    return (points_ndc[..., 0].abs() <= 1) & (points_ndc[..., 1].abs() <= 1)
