"""Colours of the side that a photo does not show, told by the project's own small network (docs/backs.md)."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import own_weights
from ncpifu_cli.data.network_input import BACK_PX, masked_input, nearest_filled, resize_masked

if TYPE_CHECKING:
    import torch

    from ncpifu_cli.data.back_net import BackNet

FILE_NAME = "back.safetensors"
GREY = 3  # levels between the channels of a picture without colours, as JPEG leaves them
LEAST = 0.2  # a smaller share of the photo is a ghost of it: without, colours are as near to the truth
RIM = 0.01  # of the picture's side, 2 cm: as far from the outline the other side's colours are those further inside
RIM_PX, SEAM_PX = 2.5, 4.0  # at BACK_PX: the outline, and how far inwards both sides are brought together
Floats = NDArray[np.float32]


def find_back_weights() -> Path | None:
    """`$NCPIFU_BACK` where set, else the released weights of a clone or of the installed package; None where there are none."""
    return own_weights(FILE_NAME, "NCPIFU_BACK")


def other_side(weights: Path, picture: NDArray[np.uint8], coverage: Floats, device: "torch.device | str" = "cpu") -> NDArray[np.uint8]:
    """The other side of a framed person, seen through from the front, in the photo's mean light.

    What goes on behind is the photo's, as sharp as it is; the rest is told by the network, which sees 256 px.

    Args: weights, from `find_back_weights`; picture (S, S, 3) uint8 sRGB, its colours continued beyond the outline; coverage (T, T) 0..1. The answer is the
        mean of the picture's and its mirror image's. Returns (S, S, 3). Raises NcpifuError for weights that cannot be read.
    """
    cover = cv2.resize(coverage, picture.shape[:2], interpolation=cv2.INTER_LINEAR)
    person = cover >= 0.5
    share, own = _answer(weights, picture, cover, device)
    mixed = share * picture + (1 - share) * (own + 1) * np.float32(127.5)
    small = (cv2.resize(part, (BACK_PX, BACK_PX), interpolation=cv2.INTER_AREA) for part in (picture.astype(np.float32), mixed, cover))
    behind = np.clip(mixed + cv2.resize(_seam(*small), picture.shape[:2], interpolation=cv2.INTER_LINEAR) + 0.5, 0, 255).astype(np.uint8)
    if (np.ptp(picture, axis=2)[person] <= GREY).all():  # of a photo without colours
        behind = np.repeat(cv2.cvtColor(behind, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return without_rim(behind, person)  # last: hair at the outline tells what hair is behind, light on it is less so further inside


def goes_on_behind(weights: Path, picture: NDArray[np.uint8], coverage: Floats, device: "torch.device | str" = "cpu") -> Floats:
    """(S, S) how much of what a picture (S, S, 3) shows goes on on the other side, 0..1: clothes and hair, no faces. coverage (S, S) 0..1."""
    return _answer(weights, picture, coverage, device)[0][..., 0]


def _answer(weights: Path, picture: NDArray[np.uint8], coverage: Floats, device: "torch.device | str") -> tuple[Floats, Floats]:
    """(S, S, 1) share of the picture's own colour on the other side, and (S, S, 3) colour of the rest in [-1, 1]."""
    import torch

    net = _network(weights, device)
    seen = torch.from_numpy(masked_input(*resize_masked(picture, coverage, BACK_PX)))[None].to(device)
    with torch.inference_mode():
        one, mirrored = net(torch.cat([seen, seen.flip(3)]))
    answer = ((one + mirrored.flip(2)) / 2).permute(1, 2, 0).cpu().numpy()
    share, own = np.split(cv2.resize(answer, picture.shape[:2], interpolation=cv2.INTER_LINEAR), [1], axis=2)
    return np.clip((share - LEAST) / (1 - LEAST), 0, 1), own


def without_rim(picture: NDArray[np.uint8], person: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(S, S, 3) uint8 with the colours of a person's rim, and beyond it, those of the nearest pixel further inside.

    What shines around an outline, light on hair, a wall that a mask has not quite left out, is a line in the photo, but would be the whole side of a head:
    sides take their colours from the rim. Of what is thinner than two rims, the middle counts. person (S, S) bool; where nobody is, the picture is as it was.
    """
    inside = cv2.distanceTransform(person.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    reach = RIM * len(picture)
    window = 2 * round(reach) + 1
    thickness = cv2.dilate(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (window, window)))
    core = person & (inside >= np.minimum(reach, 0.7 * thickness))
    return nearest_filled(picture, core) if core.any() else picture


def _seam(front: Floats, back: Floats, cover: Floats) -> Floats:
    """(S, S, 3) what is to be added to the other side so that it meets the front at the outline: all of the difference there, less and less inwards."""
    person = (cover >= 0.5).astype(np.uint8)
    inwards = cv2.distanceTransform(person, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    rim = ((inwards > 0) & (inwards <= RIM_PX)).astype(np.float32)
    difference, near = (cv2.GaussianBlur(part, (0, 0), SEAM_PX / 2) for part in ((front - back) * rim[..., None], rim))
    fades = np.exp(-np.square(inwards / SEAM_PX))
    return np.asarray(fades[..., None] * difference / np.maximum(near, np.float32(1e-3))[..., None], np.float32)


def _network(path: Path, device: "str | torch.device") -> "BackNet":
    from ncpifu_cli.data.back_net import load_back
    from ncpifu_cli.data.weights_file import read_once

    return read_once(load_back, path, device)
