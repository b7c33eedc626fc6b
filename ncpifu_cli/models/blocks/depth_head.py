"""Auxiliary depth of front and back surface, read off the feature map (ours; not in the paper)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DepthHead(nn.Module):
    """A linear read-out, so that the features themselves must know the depth. Feature maps (B, C, h, w) -> (S, B, 2, h, w), front and back, in units of phi."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(channels, 2, 1)

    def forward(self, feature_maps: Sequence[Tensor]) -> Tensor:
        return torch.stack([self.read(feature_map) for feature_map in feature_maps])
