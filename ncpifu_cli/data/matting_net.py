"""The network that finds people in a photograph: an encoder-decoder with a global glance, for pictures of about 200 to 300 px on a side.

It stands in `data` because its answer is a mask, which is data to everything that follows; `models` holds what answers points in space.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.data.picture_net import ConvNorm, PictureNet
from ncpifu_cli.data.weights_file import read_half, save_half

FORMAT = "ncpifu-matting-1"
STRIDE = 32  # height and width of the input are multiples of this


class MattingNet(PictureNet):
    """(B, 3, H, W) sRGB in [-1, 1], H and W multiples of 32 -> (B, 1, H, W) logits of "a person is here".

    The last step is from half size.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128, 192), depths: tuple[int, ...] = (0, 1, 2, 3, 2)) -> None:
        super().__init__(3, widths, depths, lambda width: ConvNorm(width, width), glance=True)
        self.answer = nn.Sequential(ConvNorm(widths[0] + 3, 16), nn.Conv2d(16, 1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        half = F.interpolate(image, scale_factor=0.5, mode="bilinear")
        return F.interpolate(self.answer(torch.cat([self.half_size(image), half], 1)), scale_factor=2.0, mode="bilinear")


def save_matting(path: Path, net: MattingNet, meta: dict[str, Any]) -> None:
    """Write the weights in half precision, with `meta` (free JSON) in the header of the file; atomic."""
    save_half(path, net, FORMAT, meta)


def load_matting(path: Path) -> MattingNet:
    """The network stored in `path`, in float32 and evaluation mode; NcpifuError for a file that is missing, damaged or something else."""
    net = MattingNet()
    read_half(path, net, FORMAT, "matting.safetensors")
    return net.eval()
