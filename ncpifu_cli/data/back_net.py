"""The network that tells the colours of the side that a photo does not show: an encoder-decoder (`picture_net`) at 256 px.

Its answer at a pixel is a mixture of the photo's own colour there, seen through the body, and a colour of its own: trousers go on behind, a face does not.
It stands in `data` because its answer is a picture, which is data to everything that follows.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.data.picture_net import PictureNet
from ncpifu_cli.data.weights_file import read_half, save_half

FORMAT = "ncpifu-back-1"


class BackNet(PictureNet):
    """(B, 4, H, W): colours in [-1, 1] times coverage, and coverage 0..1; H and W multiples of 32 -> (B, 4, H, W): share of the photo's colour 0..1, and a
    colour in [-1, 1] for the rest. At half the picture's size, enlarged: what is finer comes from the photo."""

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 160, 192), depths: tuple[int, ...] = (1, 1, 2, 2, 2)) -> None:
        super().__init__(4, widths, depths)
        self.answer = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        answer = self.answer(self.half_size(image)).float()
        share, own = F.interpolate(answer, scale_factor=2.0, mode="bilinear").split((1, 3), dim=1)
        return torch.cat([share.sigmoid(), own.tanh()], dim=1)


def save_back(path: Path, net: BackNet, meta: dict[str, Any]) -> None:
    """Write the weights in half precision, with `meta` (free JSON) in the header of the file; atomic."""
    save_half(path, net, FORMAT, meta)


def load_back(path: Path) -> BackNet:
    """The network stored in `path`, in float32 and evaluation mode; NcpifuError for a file that is missing, damaged or something else."""
    net = BackNet()
    read_half(path, net, FORMAT, "back.safetensors")
    return net.eval()
