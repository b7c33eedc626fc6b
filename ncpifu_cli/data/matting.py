"""The people in any photograph, by the project's own small network (docs/matting.md): look at the whole, look again at the person, sharpen the edge.

Works offline, in about a second on a CPU, on busy backgrounds as on plain ones; and says how sure it is.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.grabcut import Box, guided_upsample
from ncpifu_cli.errors import NcpifuError

if TYPE_CHECKING:
    from ncpifu_cli.data.matting_net import MattingNet

FILE_NAME = "matting.safetensors"
LOOK_AREA_PX = 160 * 144  # about what the network was trained to see
WORK_SIDE_PX = 768
LOOKS = 2
MARGIN = 0.15  # around the person when looking again, as a share of their box
_PACKAGE = Path(__file__).resolve().parents[1]
Alpha = NDArray[np.float32]


@dataclass(frozen=True)
class MatteEstimate:
    """People found in a photograph.

    Attributes: alpha (H, W) float32, 0 = background, 1 = person; confidence: the intersection over union with the truth that the network expects of its
    own answer for the largest figure, 0..1; 0 where it found nobody.
    """

    alpha: Alpha
    confidence: float


def find_matting_weights() -> Path | None:
    """`$NCPIFU_MATTING` where set, else the released weights of a clone or of the installed package; None where there are none."""
    named = os.environ.get("NCPIFU_MATTING")
    places = [Path(named).expanduser()] if named else [folder / "weights" / FILE_NAME for folder in (_PACKAGE.parent, _PACKAGE)]
    return next((path for path in places if path.is_file()), None)


def estimate_mask(rgb: NDArray[np.uint8], box: Box | None = None) -> MatteEstimate:
    """The people in `rgb` (H, W, 3) uint8 sRGB of any size; only those in `box` (x, y, width, height in its pixels) where given.

    Raises NcpifuError where `find_matting_weights()` is None and for weights that cannot be read.
    """
    weights = find_matting_weights()
    if weights is None:
        raise NcpifuError(f"the weights of the matting network ({FILE_NAME}) are not installed", "run from a clone, set NCPIFU_MATTING, or give --mask FILE")
    net = _network(weights, weights.stat().st_mtime_ns)
    frame = (0, 0, rgb.shape[1], rgb.shape[0]) if box is None else _grown(box, MARGIN, rgb.shape[:2])
    x, y, w, h = frame
    alpha, confidence = _person_alpha(net, rgb[y : y + h, x : x + w])
    whole = np.zeros(rgb.shape[:2], np.float32)
    whole[y : y + h, x : x + w] = alpha
    if box is not None:
        outside = np.ones(rgb.shape[:2], bool)
        outside[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = False
        whole[outside] = 0
    return MatteEstimate(whole, confidence)


def _person_alpha(net: "MattingNet", rgb: NDArray[np.uint8]) -> tuple[Alpha, float]:
    """Alpha (H, W) and confidence for a picture that is looked at as a whole first."""
    height, width = rgb.shape[:2]
    factor = min(1.0, WORK_SIDE_PX / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    chance = cv2.resize(_look(net, rgb), size, interpolation=cv2.INTER_LINEAR)
    agreement = 1.0
    for _ in range(LOOKS - 1):
        person = _largest_figure(chance)
        if person is None:
            return np.zeros((height, width), np.float32), 0.0
        x, y, w, h = _grown(person, MARGIN, (size[1], size[0]))
        if w * h > 0.9 * size[0] * size[1]:
            break
        window = tuple(slice(round(low / factor), round((low + length) / factor)) for low, length in ((y, h), (x, w)))
        closer = cv2.resize(_look(net, rgb[window]), (w, h), interpolation=cv2.INTER_LINEAR)
        before = chance[y : y + h, x : x + w].copy()
        chance[y : y + h, x : x + w] = closer
        agreement = _soft_iou(before, closer)
    confidence = expected_iou(chance) * min(1.0, 0.5 + 0.55 * agreement)
    return guided_upsample(chance, rgb), confidence


def _look(net: "MattingNet", rgb: NDArray[np.uint8]) -> Alpha:
    """Chance of a person (h, w) at the network's own size: the mean of the picture and its mirror image."""
    import torch

    from ncpifu_cli.data.matting_net import STRIDE

    scale = np.sqrt(LOOK_AREA_PX / (rgb.shape[0] * rgb.shape[1]))
    height, width = (int(np.clip(round(side * scale / STRIDE), 2, 20)) * STRIDE for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    image = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        logits = net(torch.cat([image, image.flip(3)]))
    return torch.sigmoid((logits[0, 0] + logits[1, 0].flip(1)) / 2).numpy()


def expected_iou(chance: Alpha) -> float:
    """Expected intersection over union of `chance > 0.5` with the truth, if `chance` (H, W) holds calibrated probabilities: E|M and T| / E|M or T|."""
    mask = chance > 0.5
    return float(chance[mask].sum() / (mask.sum() + chance[~mask].sum())) if mask.any() else 0.0


def _soft_iou(first: Alpha, second: Alpha) -> float:
    return float(np.minimum(first, second).sum() / max(np.maximum(first, second).sum(), 1e-6))


def _largest_figure(chance: Alpha) -> Box | None:
    """Bounding box of the largest connected part of `chance > 0.5`; None where there is none."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((chance > 0.5).astype(np.uint8))
    if count < 2:
        return None
    x, y, w, h = (int(value) for value in stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))][:4])
    return x, y, w, h


def _grown(box: Box, share: float, shape: tuple[int, int]) -> Box:
    """The box with a margin of `share` of its longer side, clipped to `shape` (H, W)."""
    margin = round(share * max(box[2:]))
    left, top = max(0, box[0] - margin), max(0, box[1] - margin)
    return left, top, min(shape[1], box[0] + box[2] + margin) - left, min(shape[0], box[1] + box[3] + margin) - top


@lru_cache(maxsize=1)
def _network(path: Path, changed_ns: int) -> "MattingNet":
    """`changed_ns` makes a replaced file be read again."""
    from ncpifu_cli.data.matting_net import load_matting

    return load_matting(path)
