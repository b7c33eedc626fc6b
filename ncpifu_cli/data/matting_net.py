"""The network that finds people in a photograph: an encoder-decoder with a global glance, for pictures of about 200 to 300 px on a side.

It stands in `data` because its answer is a mask, which is data to everything that follows; `models` holds what answers points in space.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.data.weights_file import read_half, save_half

FORMAT = "ncpifu-matting-1"
STRIDE = 32  # height and width of the input are multiples of this


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


class GlobalGlance(nn.Module):
    """Adds to every place what the whole picture looks like: mean and maximum over it through a small perceptron."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(2 * channels, channels // 2), nn.SiLU(inplace=True), nn.Linear(channels // 2, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))[:, :, None, None]


class MattingNet(nn.Module):
    """(B, 3, H, W) sRGB in [-1, 1], H and W multiples of 32 -> (B, 1, H, W) logits of "a person is here".

    Five levels at 1/2 to 1/32 of the picture, skip connections by addition, bilinear steps up; the last step is from half size.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128, 192), depths: tuple[int, ...] = (0, 1, 2, 3, 2)) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        inputs = 3
        for width, depth in zip(widths, depths, strict=True):
            self.down.append(nn.Sequential(ConvNorm(inputs, width, stride=2), *(Residual(width) for _ in range(depth))))
            inputs = width
        self.glance = GlobalGlance(widths[-1])
        self.lateral = nn.ModuleList(nn.Conv2d(width, smaller, 1) for smaller, width in pairwise(widths))
        self.up = nn.ModuleList(ConvNorm(width, width) for width in widths[:-1])
        self.answer = nn.Sequential(ConvNorm(widths[0] + 3, 16), nn.Conv2d(16, 1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        levels = []
        x = image
        for down in self.down:
            x = down(x)
            levels.append(x)
        x = self.glance(x)
        for level, lateral, up in zip(reversed(levels[:-1]), reversed(self.lateral), reversed(self.up), strict=True):
            x = up(level + F.interpolate(lateral(x), scale_factor=2.0, mode="bilinear"))
        half = F.interpolate(image, scale_factor=0.5, mode="bilinear")
        return F.interpolate(self.answer(torch.cat([x, half], 1)), scale_factor=2.0, mode="bilinear")


def save_matting(path: Path, net: MattingNet, meta: dict[str, Any]) -> None:
    """Write the weights in half precision, with `meta` (free JSON) in the header of the file; atomic."""
    save_half(path, net, FORMAT, meta)


def load_matting(path: Path) -> MattingNet:
    """The network stored in `path`, in float32 and evaluation mode; NcpifuError for a file that is missing, damaged or something else."""
    net = MattingNet()
    read_half(path, net, FORMAT, "matting.safetensors")
    return net.eval()
