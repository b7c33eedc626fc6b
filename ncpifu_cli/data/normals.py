"""Normals of the front and back of a cut-out person, by the project's own small network (docs/normals.md)."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import own_weights
from ncpifu_cli.data.framing import SUBJECT_SHARE, head_and_trunk
from ncpifu_cli.data.network_input import CLOSE_PX, DETAIL_PX, normal_input, resize_masked, true_colours

if TYPE_CHECKING:
    import torch

    from ncpifu_cli.data.normal_net import NormalNet

FILE_NAME = "normals.safetensors"
STRIDE, MARGIN_PX = 32, 16  # height and width of what the network sees are multiples of the first (here, so that torch can wait)
HEAD_WINDOW, SOFT = 0.22, 0.04  # of a whole person's height, from the top of the head: what is looked at closely, and where that passes into the rest
FRONT, BACK = slice(0, 3), slice(3, 6)  # channels of the network's answer
FEATURES_PX = 6.0  # eyes and mouths are not wider at 512 px
Floats = NDArray[np.float32]
Window = tuple[slice, slice]


def find_normal_weights() -> Path | None:
    """`$NCPIFU_NORMALS` where set, else the released weights of a clone or of the installed package; None where there are none."""
    return own_weights(FILE_NAME, "NCPIFU_NORMALS")


def estimate_normals(weights: Path, image: NDArray[np.uint8], coverage: Floats, device: "torch.device | str" = "cpu") -> tuple[Floats, Floats]:
    """Unit normals of the front and of the back surface, (1024, 1024, 3) each, in the camera's frame and 0 beside the person.

    The whole person is looked at at 512 px, the front of the head once more at 1024: a face is a tenth of the picture, and the first thing that anybody looks
    at. The back is told from blurred colours: else the network lets the face come through to the back of the head.

    Args: weights, from `find_normal_weights`; image (1024, 1024, 3) uint8 sRGB, framed as in training; coverage (1024, 1024) 0..1. Each look is the mean of
        the picture's and its mirror image's. Raises NcpifuError for weights that cannot be read, ValueError for another size.
    """
    if image.shape != (CLOSE_PX, CLOSE_PX, 3) or coverage.shape != (CLOSE_PX, CLOSE_PX):
        raise ValueError(f"normals are seen in pictures of {CLOSE_PX} px; got image {image.shape}, mask {coverage.shape}")
    person = coverage > 0
    if not person.any():
        return np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
    net = _network(weights, weights.stat().st_mtime_ns, str(device))
    rgb, cover = resize_masked(image, coverage, DETAIL_PX)
    whole = np.zeros((DETAIL_PX, DETAIL_PX, 6), np.float32)
    window = whole_window(cover)
    for side, colours in ((FRONT, rgb), (BACK, _without_features(rgb, cover))):
        whole[(*window, side)] = _look(net, colours[window], cover[window], device)[..., side]
    normals = cv2.resize(whole, (CLOSE_PX, CLOSE_PX), interpolation=cv2.INTER_LINEAR)
    share = closeness(coverage)
    window = _window_of(share, coverage)
    head = (*window, FRONT)
    normals[head] += share[window[0], None, None] * (_look(net, image[window], coverage[window], device)[..., FRONT] - normals[head])
    return _unit(normals[..., FRONT]) * person[..., None], _unit(normals[..., BACK]) * person[..., None]


def whole_window(coverage: Floats) -> Window:
    """Rows and columns of the person, coverage (S, S), with a margin; sides are multiples of STRIDE."""
    (y, height), (x, width) = (extent(coverage.max(axis=axis)) for axis in (1, 0))
    return _fitted(y, height, len(coverage)), _fitted(x, width, len(coverage))


def head_window(coverage: Floats) -> Window:
    """The rows in which `closeness` is not 0 and the columns that the person, coverage (S, S), covers there, with a margin; sides are multiples of STRIDE."""
    return _window_of(closeness(coverage), coverage)


def _window_of(share: Floats, coverage: Floats) -> Window:
    """Where a `share` (S,) of its rows is not 0 and the person, coverage (S, S), is, with a margin."""
    y, rows = extent(share)
    x, width = extent(coverage[y : y + rows].max(axis=0)) if rows else (0, 0)
    return _fitted(y, rows, len(coverage)), _fitted(x, width, len(coverage))


def closeness(coverage: Floats) -> Floats:
    """(S,) how much the close look counts in each row of a framed person, coverage (S, S): fully from the top of the head to below its chin, not at all above
    and from HEAD_WINDOW on. Framing shows half a person at the scale of a whole one, so a head's height is known."""
    top = head_top(coverage)
    down = (np.arange(len(coverage), dtype=np.float32) - top) / np.float32(SUBJECT_SHARE * len(coverage))
    return np.where((down >= 0) & (coverage > 0).any(), np.clip((HEAD_WINDOW - down) / SOFT, 0, 1), 0).astype(np.float32)


def head_top(coverage: Floats) -> int:
    """The first row of a framed person's head, coverage (S, S) 0..1; 0 where nobody is."""
    return int(np.argmax(head_and_trunk(coverage >= 0.5).any(axis=1)))


def _look(net: "NormalNet", rgb: NDArray[np.uint8] | Floats, cover: Floats, device: "torch.device | str") -> Floats:
    """(H, W, 6) unit normals of front and back of a piece of a picture, (H, W, 3) and (H, W)."""
    import torch

    seen = torch.from_numpy(normal_input(rgb, cover))[None].to(device)
    with torch.inference_mode():
        one, mirrored = net(torch.cat([seen, seen.flip(3)]))
        mirrored = mirrored.flip(2).unflatten(0, (2, 3)) * torch.tensor([-1.0, 1.0, 1.0], device=device)[:, None, None]
        both = torch.nn.functional.normalize(one.unflatten(0, (2, 3)) + mirrored, dim=1)
    return np.asarray(both.flatten(0, 1).permute(1, 2, 0).cpu().numpy(), np.float32)


def _without_features(rgb: Floats, cover: Floats) -> Floats:
    """Colours (S, S, 3) within coverage (S, S), blurred until faces and prints are gone."""
    colours, covered = (cv2.GaussianBlur(picture, (0, 0), FEATURES_PX) for picture in (rgb * cover[..., None], cover))
    return true_colours(colours, covered)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-6), np.float32)


def _fitted(start: int, length: int, size_px: int) -> slice:
    """A slice around [start, start + length) of a picture's side, with a margin, its length a multiple of STRIDE."""
    wanted = min(-(-(length + 2 * MARGIN_PX) // STRIDE) * STRIDE, size_px)
    first = int(np.clip(start + length // 2 - wanted // 2, 0, size_px - wanted))
    return slice(first, first + wanted)


def extent(covered: NDArray) -> tuple[int, int]:
    """Start and length of what is covered; (0, 0) where nothing is."""
    at = np.flatnonzero(covered > 0)
    return (int(at[0]), int(at[-1] - at[0]) + 1) if len(at) else (0, 0)


@lru_cache(maxsize=2)
def _network(path: Path, changed_ns: int, device: str) -> "NormalNet":
    """`changed_ns` makes a replaced file be read again."""
    from ncpifu_cli.data.normal_net import load_normals

    return load_normals(path).to(device)
