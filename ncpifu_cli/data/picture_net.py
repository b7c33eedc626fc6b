"""The encoder-decoder that the project's small picture networks share (masks, normals, backs): five levels, skip connections by addition."""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.SiLU(inplace=True))


class Residual(nn.Module):
    """x + two convolutions through half the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNorm(channels, channels // 2), nn.Conv2d(channels // 2, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.body(x))


def refined(width: int) -> nn.Module:
    """What follows each step up where detail counts."""
    return nn.Sequential(ConvNorm(width, width), Residual(width))


class GlobalGlance(nn.Module):
    """Adds to every place what the whole picture looks like: mean and maximum over it through a small perceptron."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(2 * channels, channels // 2), nn.SiLU(inplace=True), nn.Linear(channels // 2, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))[:, :, None, None]


class PictureNet(nn.Module):
    """The part without an answer. (B, inputs, H, W), H and W multiples of 32; levels of `widths` channels at 1/2 to 1/32 of the picture, each of `depths`
    residual blocks; `glance` at the lowest; bilinear steps up, each followed by `up` of its width."""

    def __init__(
        self, inputs: int, widths: tuple[int, ...], depths: tuple[int, ...], up: Callable[[int], nn.Module] = refined, *, glance: bool = False
    ) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        for width, depth in zip(widths, depths, strict=True):
            self.down.append(nn.Sequential(ConvNorm(inputs, width, stride=2), *(Residual(width) for _ in range(depth))))
            inputs = width
        self.glance = GlobalGlance(widths[-1]) if glance else nn.Identity()
        self.lateral = nn.ModuleList(nn.Conv2d(width, smaller, 1) for smaller, width in pairwise(widths))
        self.up = nn.ModuleList(up(width) for width in widths[:-1])

    def half_size(self, image: Tensor) -> Tensor:
        """(B, widths[0], H/2, W/2): what is seen at each place."""
        levels = []
        x = image
        for down in self.down:
            x = down(x)
            levels.append(x)
        x = self.glance(x)
        for level, lateral, up in zip(reversed(levels[:-1]), reversed(self.lateral), reversed(self.up), strict=True):
            x = up(level + F.interpolate(lateral(x), scale_factor=2.0, mode="bilinear"))
        return x
