"""The people in any photograph, by BlazePose and the project's own small network (docs/matting.md): look at all, look again at the person, sharpen the edge.

Works offline, in about a second on a CPU, on busy backgrounds as on plain ones; and says how sure it is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import own_weights
from ncpifu_cli.data.blazepose import FoundPerson, find_people, outlines
from ncpifu_cli.data.grabcut import MARGIN, Box, grown_box, guided_upsample, seeded_grabcut
from ncpifu_cli.errors import NcpifuError

if TYPE_CHECKING:
    from ncpifu_cli.data.matting_net import MattingNet

FILE_NAME = "matting.safetensors"
LOOK_AREA_PX = 160 * 144  # about what the network was trained to see
LOOK_SCALES = (0.6, 1.2, 2.5)  # of that area: large shapes are found in few pixels, hands and gaps in many (docs/matting.md)
WORK_SIDE_PX = 768
LOOKS = 2
OWN, BLAZEPOSE = 0.5, 0.5  # shares of the network's logits and of BlazePose's outlines where that finds anybody: it knows people, the network what they hold
SUREST = 6.0  # no logit of an outline counts for more
STRAYED = 0.8  # a cut that the network expects to be this much worse than its own mask is not taken
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
    return own_weights(FILE_NAME, "NCPIFU_MATTING")


def estimate_mask(rgb: NDArray[np.uint8], box: Box | None = None, people: tuple[FoundPerson, ...] | None = None) -> MatteEstimate:
    """The people in `rgb` (H, W, 3) uint8 sRGB of any size; only those in `box` (x, y, width, height in its pixels) where given.

    people: what `find_people` answered, asked here where it is not given.

    Raises NcpifuError where `find_matting_weights()` is None and for weights that cannot be read.
    """
    weights = find_matting_weights()
    if weights is None:
        raise NcpifuError(f"the weights of the matting network ({FILE_NAME}) are not installed", "run from a clone, set NCPIFU_MATTING, or give --mask FILE")
    net = _network(weights)
    frame = (0, 0, rgb.shape[1], rgb.shape[0]) if box is None else grown_box(box, MARGIN, rgb.shape[:2])
    x, y, w, h = frame
    people = find_people(rgb, box) if people is None else people
    alpha, confidence = _person_alpha(net, rgb[y : y + h, x : x + w], tuple(person.moved(-x, -y) for person in people))
    whole = np.zeros(rgb.shape[:2], np.float32)
    whole[y : y + h, x : x + w] = alpha
    if box is not None:
        outside = np.ones(rgb.shape[:2], bool)
        outside[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = False
        whole[outside] = 0
    return MatteEstimate(whole, confidence)


def _person_alpha(net: "MattingNet", rgb: NDArray[np.uint8], found: tuple[FoundPerson, ...]) -> tuple[Alpha, float]:
    """Alpha (H, W) and confidence for a picture that is looked at as a whole first; `found` are the people in it whom BlazePose sees."""
    alpha = np.zeros(rgb.shape[:2], np.float32)
    factor = min(1.0, WORK_SIDE_PX / max(rgb.shape[:2]))
    size = max(1, round(rgb.shape[0] * factor)), max(1, round(rgb.shape[1] * factor))
    outline = outlines(found, size, factor)
    looked_for = np.isfinite(outline)
    own = np.where(looked_for, np.float32(OWN), np.float32(1))
    theirs = np.where(looked_for, BLAZEPOSE * np.clip(outline, -SUREST, SUREST), 0).astype(np.float32)
    logits = own * _resized(_look(net, rgb), size) + theirs
    for _ in range(LOOKS - 1):
        person = _figure_box(logits, largest=True)
        if person is None:
            return alpha, 0.0
        here, there = _window(person, size), _window(person, size, 1 / factor)
        logits[here] = own[here] * _resized(_look(net, rgb[there]), logits[here].shape) + theirs[here]
    figures = _figure_box(logits)
    if figures is None:
        return alpha, 0.0
    here, there = _window(figures, size), _window(figures, size, 1 / factor)
    mask, confidence = _sharpened(rgb[there], 1 / (1 + np.exp(-logits[here])))
    alpha[there] = guided_upsample(mask, rgb[there])
    return alpha, confidence


def _sharpened(rgb: NDArray[np.uint8], chance: Alpha) -> tuple[Alpha, float]:
    """GrabCut between what the network is sure of, unless it strays from the network's opinion; and the confidence."""
    cut = seeded_grabcut(rgb, chance)
    chance = _resized(chance, cut.shape)
    own, its = expected_iou(chance, chance > 0.5), expected_iou(chance, cut)
    mask, expected = (cut.astype(np.float32), its) if its > STRAYED * own else (chance, own)
    return mask, expected


def _look(net: "MattingNet", rgb: NDArray[np.uint8]) -> Alpha:
    """Logits of a person (h, w) at the largest of the network's sizes: the mean over `LOOK_SCALES`, and over the picture and its mirror image."""
    import torch

    with torch.inference_mode():
        logits = [_logits(net, rgb, area * LOOK_AREA_PX) for area in LOOK_SCALES]
    finest = max((answer.shape for answer in logits), key=np.prod)
    return np.mean([_resized(answer, finest) for answer in logits], axis=0)


def _logits(net: "MattingNet", rgb: NDArray[np.uint8], area_px: float) -> Alpha:
    """Logits (h, w) for the picture shrunk or enlarged to about `area_px`, sides being multiples of the network's stride."""
    import torch

    from ncpifu_cli.data.matting_net import STRIDE

    scale = np.sqrt(area_px / (rgb.shape[0] * rgb.shape[1]))
    height, width = (int(np.clip(round(side * scale / STRIDE), 2, 20)) * STRIDE for side in rgb.shape[:2])
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    image = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 127.5 - 1
    answer = net(torch.cat([image, image.flip(3)]))
    return ((answer[0, 0] + answer[1, 0].flip(1)) / 2).numpy()


def expected_iou(chance: Alpha, mask: NDArray[np.bool_]) -> float:
    """Expected intersection over union of `mask` with the truth, if `chance` (H, W) holds calibrated probabilities: E|M and T| / E|M or T|."""
    return float(chance[mask].sum() / (mask.sum() + chance[~mask].sum())) if mask.any() else 0.0


def _figure_box(logits: Alpha, largest: bool = False) -> Box | None:
    """Bounding box of what is above 0, or of its largest connected part; None where there is none."""
    found = (logits > 0).astype(np.uint8)
    if largest:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(found)
        found = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8) if len(stats) > 1 else found
    x, y, w, h = cv2.boundingRect(found)
    return (x, y, w, h) if w and h else None


def _window(box: Box, shape: tuple[int, ...], scale: float = 1.0) -> tuple[slice, slice]:
    """Rows and columns of the box with its margin, on a grid `scale` times as fine as that of `box` and `shape`."""
    x, y, w, h = grown_box(box, MARGIN, shape)
    return slice(round(y * scale), round((y + h) * scale)), slice(round(x * scale), round((x + w) * scale))


def _resized(values: Alpha, shape: tuple[int, ...]) -> Alpha:
    return cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _network(path: Path) -> "MattingNet":
    from ncpifu_cli.data.matting_net import load_matting
    from ncpifu_cli.data.weights_file import read_once

    return read_once(load_matting, path)
