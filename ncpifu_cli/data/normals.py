"""Normals of the front and back of a cut-out person, by the project's own small network (docs/normals.md)."""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import own_weights
from ncpifu_cli.data.framing import FramedView, extent, head_centre
from ncpifu_cli.data.network_input import CLOSE_PX, DETAIL_PX, HEAD_HALF_NDC, HEAD_PX, masked_input, resize_masked, true_colours

if TYPE_CHECKING:
    import torch

    from ncpifu_cli.data.normal_net import NormalNet, NormalNets

FILE_NAME = "normals.safetensors"
STRIDE, MARGIN_PX = 32, 16  # height and width of what the network sees are multiples of the first (here, so that torch can wait)
FRONT, BACK = slice(0, 3), slice(3, 6)  # channels of the network's answer
FEATURES_PX = 6.0  # eyes and mouths are not wider at 512 px
FAR_PX = 8.0  # at 1024 px: what is wider than about six times this is seen from afar
FOLD_PX, FINEST_FOLD_PX = 12.0, 1.5  # at 1024 px: relief that is narrower than about six times the first, and what of it is noise
STEEP = 0.4  # folds that are steeper are the edges of an arm before the trunk: the more so the less they count
OUTLINE_PX = 12.0  # at 1024 px: the front's normals near the outline are the outline's
HEAD_SHARE = 0.8  # of a head's normals, the rest is the other looks': both err less together
HEAD_FADE = 0.1  # of the side of the head's picture: from its border on it is believed more and more
NO_HEAD_DEG = 40  # what two looks see so differently is no head, in the mean
Floats = NDArray[np.float32]
Window = tuple[slice, slice]


def find_normal_weights() -> Path | None:
    """`$NCPIFU_NORMALS` where set, else the released weights of a clone or of the installed package; None where there are none."""
    return own_weights(FILE_NAME, "NCPIFU_NORMALS")


def estimate_normals(
    weights: Path, image: NDArray[np.uint8], coverage: Floats, device: "torch.device | str" = "cpu", head: FramedView | None = None
) -> tuple[Floats, Floats]:
    """Unit normals of the front and of the back surface, (1024, 1024, 3) each, in the camera's frame and 0 beside the person.

    The person is looked at at 512 px, and the front once more at 1024: how a limb is turned is seen best from afar, eyes, pockets and folds are seen closely.
    A network of its own looks at the head. The back is told from blurred colours: else the network lets the face come through to the back of the head.

    Args: weights, from `find_normal_weights`; image (1024, 1024, 3) uint8 sRGB, framed as in training; coverage (1024, 1024) 0..1; head, from `frame_head`
        where the photo shows more of it than `image` does. Each look is the mean of the picture's and its mirror image's. Raises NcpifuError for weights that
        cannot be read, ValueError for another size.
    """
    if image.shape != (CLOSE_PX, CLOSE_PX, 3) or coverage.shape != (CLOSE_PX, CLOSE_PX):
        raise ValueError(f"normals are seen in pictures of {CLOSE_PX} px; got image {image.shape}, mask {coverage.shape}")
    return normals_seen(_networks(weights, device), image, coverage, device, head)


def normals_seen(
    nets: "NormalNets", image: NDArray[np.uint8], coverage: NDArray[np.bool_] | Floats, device: "torch.device | str" = "cpu", head: FramedView | None = None
) -> tuple[Floats, Floats]:
    """`estimate_normals` by networks at hand, in pictures of any size S, a multiple of 64; S / 2 is the look from afar."""
    coverage = coverage.astype(np.float32)
    person = coverage > 0
    if not person.any():
        return np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
    size = len(image)
    rgb, cover = resize_masked(image, coverage, size // 2)
    front, back = (
        cv2.resize(_look(nets.people, colours, cover, side, device), (size, size), interpolation=cv2.INTER_LINEAR)
        for side, colours in ((FRONT, rgb), (BACK, _without_features(rgb, cover)))
    )
    close = _look(nets.people, image, coverage, FRONT, device)
    front = close + _blurred(front - close, person.astype(np.float32), FAR_PX * size / CLOSE_PX)
    if nets.heads is not None:
        front = _with_head(nets.heads, _unit(front), image, coverage, head, device)
    return _unit(front) * person[..., None], _unit(back) * person[..., None]


def with_folds_behind(front: Floats, back: Floats, coverage: Floats, goes_on: Floats) -> Floats:
    """The back's normals with the narrow relief of the front, mirrored, as far as what is in front goes on behind.

    A guess, as the colours are: what a network tells of a side that nobody sees is the mean of all that it may be, a quarter of the relief that clothes have,
    and looks inflated. Folds in front and behind are alike by a little (docs/normals.md), and the colours behind are those folds' colours.

    Args: front, back (S, S, 3) unit normals, from `estimate_normals`; coverage (S, S) 0..1; goes_on (S, S) 0..1, from `backs.goes_on_behind`.
    """
    person, scale = (coverage > 0.5).astype(np.float32), len(front) / CLOSE_PX
    folds = _blurred(front - _blurred(front, person, FOLD_PX * scale), person, FINEST_FOLD_PX * scale)
    inside = cv2.distanceTransform(person.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / (OUTLINE_PX * scale)
    steep = cv2.GaussianBlur(np.linalg.norm(folds, axis=2), (0, 0), OUTLINE_PX * scale / 2)
    share = np.sqrt(cv2.GaussianBlur(goes_on, (0, 0), OUTLINE_PX * scale / 2)) * np.clip(inside - 0.5, 0, 1) / (1 + (steep / STEEP) ** 4)
    return _unit(back + share[..., None] * folds * np.array([1, 1, 0], np.float32)) * back.any(axis=2, keepdims=True)


def _with_head(net: "NormalNet", front: Floats, image: NDArray[np.uint8], coverage: Floats, head: FramedView | None, device: "torch.device | str") -> Floats:
    """`front` (S, S, 3) with the head as `net` sees it, `head` or what `image` (S, S, 3) shows of it; as it was where the two differ too much for a head."""
    size, centre = len(image), head_centre(coverage)
    if centre is None:
        return front
    step = 2 * HEAD_HALF_NDC / HEAD_PX  # NDC per pixel of the head's picture
    per_pixel = step * size / 2
    column, row = (centre[0] + 1) * size / 2, (1 - centre[1]) * size / 2
    # pixel (i, j) of the head's picture, centres at integers, in the whole one
    to_whole = np.array([[per_pixel, 0, column - per_pixel * (HEAD_PX - 1) / 2 - 0.5], [0, per_pixel, row - per_pixel * (HEAD_PX - 1) / 2 - 0.5]])
    cut = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if head is None:
        cover = cv2.warpAffine(coverage, to_whole, (HEAD_PX, HEAD_PX), flags=cut)
        shown = true_colours(cv2.warpAffine(image * coverage[..., None], to_whole, (HEAD_PX, HEAD_PX), flags=cut), cover)
    else:
        shown, cover = head.image.astype(np.float32), head.coverage
    seen = _look(net, shown, cover, FRONT, device)
    known = seen.any(axis=2)
    before = _unit(cv2.warpAffine(front, to_whole, (HEAD_PX, HEAD_PX), flags=cut))
    at = (cover > 0.5) & known & before.any(axis=2)
    if not at.any() or np.degrees(np.arccos(np.clip((seen * before)[at].sum(axis=1), -1, 1))).mean() > NO_HEAD_DEG:
        return front
    edge = np.minimum(np.arange(HEAD_PX), np.arange(HEAD_PX)[::-1]) / (HEAD_FADE * HEAD_PX)
    share = HEAD_SHARE * np.clip(edge, 0, 1)[:, None] * np.clip(edge, 0, 1) * known
    smoothed = cv2.GaussianBlur(seen, (0, 0), 0.4 / per_pixel) if per_pixel < 1 else seen  # the whole picture's pixels are larger
    laid, weight = (cv2.warpAffine(part.astype(np.float32), to_whole, (size, size), flags=cv2.INTER_LINEAR) for part in (smoothed * share[..., None], share))
    return np.asarray(laid + front * (1 - weight[..., None]), np.float32)


def whole_window(coverage: Floats) -> Window:
    """Rows and columns of the person, coverage (S, S), with a margin; sides are multiples of STRIDE."""
    (y, height), (x, width) = (extent(coverage.max(axis=axis)) for axis in (1, 0))
    return _fitted(y, height, len(coverage)), _fitted(x, width, len(coverage))


def _look(net: "NormalNet", rgb: NDArray[np.uint8] | Floats, cover: Floats, side: slice, device: "torch.device | str") -> Floats:
    """(S, S, 3) unit normals of one side of a framed person, colours (S, S, 3) and coverage (S, S); 0 far beside the person."""
    import torch

    window = whole_window(cover)
    seen = torch.from_numpy(masked_input(rgb[window], cover[window]))[None].to(device)
    with torch.inference_mode():
        one, mirrored = net(torch.cat([seen, seen.flip(3)]))[:, side]
        both = torch.nn.functional.normalize(one + mirrored.flip(2) * torch.tensor([-1.0, 1.0, 1.0], device=device)[:, None, None], dim=0)
    normals = np.zeros(rgb.shape, np.float32)
    normals[window] = both.permute(1, 2, 0).cpu().numpy()
    return normals


def _without_features(rgb: Floats, cover: Floats) -> Floats:
    """Colours (S, S, 3) within coverage (S, S), blurred until faces and prints are gone."""
    return np.minimum(_blurred(rgb, cover, FEATURES_PX * len(rgb) / DETAIL_PX), np.float32(255))


def _blurred(picture: Floats, cover: Floats, sigma_px: float) -> Floats:
    """A picture (S, S, 3) blurred within coverage (S, S) 0..1, nothing from beside it."""
    total, covered = (cv2.GaussianBlur(part, (0, 0), sigma_px) for part in (picture * cover[..., None], cover))
    return np.asarray(total / np.maximum(covered, np.float32(1 / 255))[..., None], np.float32)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-6), np.float32)


def _fitted(start: int, length: int, size_px: int) -> slice:
    """A slice around [start, start + length) of a picture's side, with a margin, its length a multiple of STRIDE."""
    wanted = min(-(-(length + 2 * MARGIN_PX) // STRIDE) * STRIDE, size_px)
    first = int(np.clip(start + length // 2 - wanted // 2, 0, size_px - wanted))
    return slice(first, first + wanted)


def _networks(path: Path, device: "str | torch.device") -> "NormalNets":
    from ncpifu_cli.data.normal_net import load_normals
    from ncpifu_cli.data.weights_file import read_once

    return read_once(load_normals, path, device)
