"""The network that sees surface normals in a cut-out person: an encoder-decoder (`picture_net`) at the photo's detail.

It stands in `data` because its answer is a picture, which is data to everything that follows; `models` holds what answers points in space.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.data.picture_net import ConvNorm, PictureNet
from ncpifu_cli.data.weights_file import holds, read_half, save_half

FORMAT = "ncpifu-normals-2"


class NormalNet(PictureNet):
    """(B, 4, H, W): colours in [-1, 1] times coverage, and coverage 0..1; H and W multiples of 32 -> (B, 6, H, W): unit normals of front and back surface.

    The camera's frame: x right, y up, z towards the camera; the back surface's normals point away from it. The last step is at full size.
    """

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 160, 192), depths: tuple[int, ...] = (1, 1, 2, 2, 2)) -> None:
        super().__init__(4, widths, depths)
        fine = 16
        self.widen = nn.Conv2d(widths[0], fine, 1)
        self.detail = nn.Conv2d(4, fine, 3, padding=1)
        self.answer = nn.Sequential(ConvNorm(fine, fine), nn.Conv2d(fine, 6, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        full = self.detail(image) + F.interpolate(self.widen(self.half_size(image)), scale_factor=2.0, mode="bilinear")
        front, back = self.answer(full).float().split(3, dim=1)
        return torch.cat([F.normalize(front, dim=1, eps=1e-4), F.normalize(back, dim=1, eps=1e-4)], dim=1)


class NormalNets(nn.Module):
    """The two that look at a person: `people` at all of it, `heads` at the head alone and closer; without the second heads are seen as the rest is."""

    def __init__(self, people: NormalNet, heads: NormalNet | None = None) -> None:
        super().__init__()
        self.people, self.heads = people, heads


def save_normals(path: Path, nets: NormalNets, meta: dict[str, Any]) -> None:
    """Write the weights in half precision, with `meta` (free JSON) in the header of the file; atomic."""
    save_half(path, nets, FORMAT, meta)


def load_normals(path: Path) -> NormalNets:
    """The networks stored in `path`, in float32 and evaluation mode; NcpifuError for a file that is missing, damaged or something else."""
    nets = NormalNets(NormalNet(), NormalNet() if holds(path, "heads.") else None)
    read_half(path, nets, FORMAT, "normals.safetensors")
    return nets.eval()
