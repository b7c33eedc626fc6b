"""U-Net image encoder of the profile `compact_unet`: several times the images per second of stacked hourglasses on a CPU (docs/method.md)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.models.blocks.hourglass import group_norm


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), group_norm(outputs), nn.ReLU())


class UNet(nn.Module):
    """RGB -> one feature map at a quarter of the resolution and the stem's map at half of it: the hourglass's contract with a single stack.

    Down to 1/32 with twice `channels`, up again with skips.
    """

    def __init__(self, stem_channels: int, channels: int) -> None:
        super().__init__()
        half, double = channels // 2, 2 * channels
        self.stem = _block(3, stem_channels, 2)
        self.quarter = nn.Sequential(_block(stem_channels, half, 2), _block(half, half))
        self.down = nn.ModuleList(
            [nn.Sequential(_block(i, o, 2), _block(o, o)) for i, o in ((half, channels), (channels, double), (double, double))],
        )
        self.up = nn.ModuleList([_block(2 * double, channels), _block(2 * channels, half), _block(channels, channels)])
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, 3, H, W) in [-1, 1] -> ([(B, C, H/4, W/4)], (B, C_stem, H/2, W/2))."""
        stem = self.stem(image)
        levels = [self.quarter(stem)]
        for down in self.down:
            levels.append(down(levels[-1]))
        current = levels.pop()
        for up in self.up:
            current = up(torch.cat([F.interpolate(current, scale_factor=2.0, mode="nearest"), levels.pop()], dim=1))
        return [self.output(current)], stem
