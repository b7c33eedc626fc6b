"""Normals of the front and back of a cut-out person, by the project's own small network (docs/normals.md)."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import own_weights
from ncpifu_cli.data.network_input import DETAIL_PX, normal_input, resize_masked

if TYPE_CHECKING:
    import torch

    from ncpifu_cli.data.normal_net import NormalNet

FILE_NAME = "normals.safetensors"
MARGIN_PX = 16
Floats = NDArray[np.float32]


def find_normal_weights() -> Path | None:
    """`$NCPIFU_NORMALS` where set, else the released weights of a clone or of the installed package; None where there are none."""
    return own_weights(FILE_NAME, "NCPIFU_NORMALS")


def estimate_normals(weights: Path, image: NDArray[np.uint8], coverage: Floats, device: "torch.device | str" = "cpu") -> tuple[Floats, Floats]:
    """Unit normals of the front and of the back surface, (512, 512, 3) each, in the camera's frame and 0 beside the person.

    Args: weights, from `find_normal_weights`; image (S, S, 3) uint8 sRGB, framed as in training; coverage (S, S) 0..1. The mean of the picture and its mirror
        image. Raises NcpifuError for weights that cannot be read.
    """
    import torch

    from ncpifu_cli.data.normal_net import STRIDE

    net = _network(weights, weights.stat().st_mtime_ns, str(device))
    rgb, cover = (image, coverage) if image.shape[0] == DETAIL_PX else resize_masked(image, coverage >= 0.5, DETAIL_PX)
    normals = np.zeros((DETAIL_PX, DETAIL_PX, 6), np.float32)
    x, y, width, height = cv2.boundingRect((cover > 0).astype(np.uint8))
    if width == 0:
        return normals[..., :3], normals[..., 3:]
    window = _window(y, height, STRIDE), _window(x, width, STRIDE)
    seen = torch.from_numpy(normal_input(rgb[window], cover[window]))[None].to(device)
    with torch.inference_mode():
        one, mirrored = net(torch.cat([seen, seen.flip(3)]))
        mirrored = mirrored.flip(2).unflatten(0, (2, 3)) * torch.tensor([-1.0, 1.0, 1.0], device=device)[:, None, None]
        both = torch.nn.functional.normalize(one.unflatten(0, (2, 3)) + mirrored, dim=1)
    normals[window] = both.flatten(0, 1).permute(1, 2, 0).cpu().numpy() * (cover[window] > 0)[..., None]
    return normals[..., :3], normals[..., 3:]


def _window(start: int, length: int, stride: int) -> slice:
    """A slice around [start, start + length) with some margin whose length is a multiple of `stride`."""
    wanted = min(-(-(length + 2 * MARGIN_PX) // stride) * stride, DETAIL_PX)
    first = int(np.clip(start + length // 2 - wanted // 2, 0, DETAIL_PX - wanted))
    return slice(first, first + wanted)


@lru_cache(maxsize=2)
def _network(path: Path, changed_ns: int, device: str) -> "NormalNet":
    """`changed_ns` makes a replaced file be read again."""
    from ncpifu_cli.data.normal_net import load_normals

    return load_normals(path).to(device)
