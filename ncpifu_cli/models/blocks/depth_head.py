"""Auxiliary depth of front and back surface, read off the feature map (ours; not in the paper)."""

from torch import Tensor, nn


class DepthHead(nn.Module):
    """A linear read-out, so that the features themselves must know the depth. (B, C, h, w) -> (B, 2, h, w), front and back, in units of phi."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(channels, 2, 1)

    def forward(self, feature_map: Tensor) -> Tensor:
        return self.read(feature_map)
