"""People in photographs, found by BlazePose (Bazarevsky et al. 2020), two networks of MediaPipe's (Apache-2.0, weights/BLAZEPOSE.md).

A detector sees the whole picture at 224 px and tells each person's hips and how tall they are; a second network looks at the square around them, upright, at
256 px, and answers with landmarks and an outline. Both learnt from photographs of people, which none of the project's own networks did. Beside
`rembg_model` the only file that imports onnxruntime.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import own_weights
from ncpifu_cli.data.grabcut import MARGIN, Box, grown_box
from ncpifu_cli.errors import NcpifuError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DETECTOR, LOOKER = "blazepose_detector.onnx", "blazepose.onnx"
DETECTOR_PX, LOOKER_PX = 224, 256
ANCHORS = ((28, 2), (14, 2), (7, 6))  # cells to a side, and anchors in each
LEAST_SCORE, LEAST_PRESENCE = 0.5, 0.5  # of a detection, and of the closer look at it
SAME_PERSON = 0.3  # intersection over union of two detections' boxes
SAME_HEAD, SAME_LANDMARKS = 0.25, 0.1  # distance of two findings' noses over their size, median distance of their landmarks over their extent
NOSE = 0
SQUARE, MOST_WINDOWS = 1.3, 9  # pictures so many times as long as wide are searched in parts as well, at most so many
STRAY = 0.3  # of the size: a look whose hips are further from the detection is at somebody else
ZOOM = 1.25  # side of the square looked at, over twice the distance from the hips to the point that tells the size
NEXT = slice(33, 35)  # landmarks that tell where to look next: hips, and the size
LOOKS = 2  # the second is placed by the first's landmarks
Floats = NDArray[np.float32]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class FoundPerson:
    """A person in a picture.

    Attributes:
        landmarks: (39, 2), BlazePose's 33 and six for itself, in pixels from the picture's corner.
        outline: (256, 256) logits of being the person; placement: (2, 3), from its pixels' indices to the picture's.
    """

    landmarks: Points
    outline: Floats
    placement: Points

    @property
    def size(self) -> float:
        """Pixels from the hips to where BlazePose would look next: about half of a whole person's height, also of somebody who is cut off."""
        return float(np.linalg.norm(np.subtract(*self.landmarks[NEXT])))

    def moved(self, right: float, down: float) -> "FoundPerson":
        """The same in a picture that goes on so many pixels further to the left and above."""
        return replace(self, landmarks=self.landmarks + np.array([right, down]), placement=self.placement + np.array([[0, 0, right], [0, 0, down]]))


def find_blazepose() -> tuple[Path, Path] | None:
    """The detector that `$NCPIFU_BLAZEPOSE` names where set, else the released one of a clone, and the second network beside it; None where there is none.

    Raises NcpifuError where the second is missing.
    """
    detector = own_weights(DETECTOR, "NCPIFU_BLAZEPOSE")
    if detector is None:
        return None
    beside = detector.with_name(LOOKER)
    if not beside.is_file():
        raise NcpifuError(f"BlazePose's second network, {beside}, is missing", f"it must lie beside {detector.name}: git checkout weights")
    return detector, beside


def find_people(rgb: NDArray[np.uint8], box: Box | None = None) -> tuple[FoundPerson, ...]:
    """The people in a picture (H, W, 3) uint8 sRGB, the surest first; around `box` (x, y, width, height in its pixels) where given.

    Nobody where `find_blazepose()` is None. Raises NcpifuError for weights that cannot be read.
    """
    weights = find_blazepose()
    if weights is None:
        return ()
    if box is not None:
        x, y, w, h = grown_box(box, MARGIN, rgb.shape[:2])
        return tuple(person.moved(x, y) for person in find_people(rgb[y : y + h, x : x + w]))
    detector, looker = (_session(path, path.stat().st_mtime_ns, side) for path, side in zip(weights, (DETECTOR_PX, LOOKER_PX), strict=True))
    detections = [found for corner, part in _windows(rgb) for found in _detections(detector, part, corner)]
    people: list[FoundPerson] = []
    for _, hips, size in sorted(detections, key=lambda found: -found[0]):
        person = _person_at(looker, rgb, hips, size)
        if person is not None and not any(_same(person, other) for other in people):
            people.append(person)
    return tuple(people)


def outlines(people: Sequence[FoundPerson], shape: tuple[int, int], scale: float = 1.0) -> Floats:
    """Logits (H, W) of anybody's being there, on a grid `scale` times as fine as the picture; -inf where nobody was looked for."""
    logits = np.full(shape, -np.inf, np.float32)
    to_grid = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])  # pixel centres at integers
    for person in people:
        placement = to_grid @ np.vstack([person.placement, (0, 0, 1)])
        known = cv2.warpAffine(np.ones_like(person.outline), placement[:2], shape[::-1], flags=cv2.INTER_NEAREST) > 0
        seen = cv2.warpAffine(person.outline, placement[:2], shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        logits[known] = np.maximum(logits, seen)[known]
    return logits


def _windows(rgb: NDArray[np.uint8]) -> list[tuple[Points, NDArray[np.uint8]]]:
    """(corner, part) of the picture: the whole, and where that is not nearly a square, squares along it, in which people are larger."""
    side, length = sorted(rgb.shape[:2])
    whole = [(np.zeros(2), rgb)]
    if length < SQUARE * side:
        return whole
    starts = np.linspace(0, length - side, min(-(-2 * (length - side) // side) + 1, MOST_WINDOWS)).round().astype(int)
    wide = rgb.shape[1] > rgb.shape[0]
    return whole + [(np.array([at, 0.0] if wide else [0.0, at]), rgb[:, at : at + side] if wide else rgb[at : at + side]) for at in starts]


def _person_at(looker: "InferenceSession", rgb: NDArray[np.uint8], hips: Points, size: Points) -> FoundPerson | None:
    """Who is there, hips and size (2,) pixels: looked at twice, but where the second look would stray to somebody else; None where nobody is."""
    reach = STRAY * float(np.linalg.norm(size - hips))
    found = None
    for look in range(LOOKS):
        presence, person = _looked_at(looker, rgb, *((hips, size) if found is None else found.landmarks[NEXT]))
        if presence < LEAST_PRESENCE or (look and np.linalg.norm(person.landmarks[NEXT][0] - hips) > reach):
            return found if look and presence >= LEAST_PRESENCE else None
        found = person
    return found


def _same(one: FoundPerson, other: FoundPerson) -> bool:
    """Whether the heads of two findings lie together, or most landmarks: 1 of 200 single people is found twice, two whose arms overlap are two."""
    apart = np.linalg.norm(one.landmarks - other.landmarks, axis=1)
    return bool(apart[NOSE] < SAME_HEAD * max(one.size, other.size) or np.median(apart) < SAME_LANDMARKS * np.ptp(one.landmarks, axis=0).max())


def _detections(network: "InferenceSession", rgb: NDArray[np.uint8], corner: Points) -> list[tuple[float, Points, Points]]:
    """(score, hips, point that tells the size) of each person, in pixels of the picture whose part at `corner` this is.

    Boxes that overlap are one, its points the mean by score.
    """
    height, width = rgb.shape[:2]
    scale = DETECTOR_PX / max(height, width)
    small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = ((DETECTOR_PX - side) // 2 for side in (small.shape[1], small.shape[0]))
    seen = np.zeros((DETECTOR_PX, DETECTOR_PX, 3), np.float32)
    seen[top : top + small.shape[0], left : left + small.shape[1]] = small
    boxes, logits = network.run(None, {network.get_inputs()[0].name: seen[None] / np.float32(127.5) - 1})
    scores = 1 / (1 + np.exp(-logits[0, :, 0].clip(-50, 50)))
    middle, size, *points = (boxes[0].reshape(-1, 6, 2) / DETECTOR_PX).swapaxes(0, 1)
    anchors = _anchors()
    low, high = middle + anchors - size / 2, middle + anchors + size / 2
    hips, tall = ((part + anchors) * DETECTOR_PX for part in points[:2])
    left_to_find = [int(place) for place in np.argsort(-scores, kind="stable") if scores[place] >= LEAST_SCORE]
    found = []
    while left_to_find:
        best, others = left_to_find[0], np.array(left_to_find)
        common = np.maximum(np.minimum(high[best], high[others]) - np.maximum(low[best], low[others]), 0).prod(axis=1)
        same = common > SAME_PERSON * (size[best].prod() + size[others].prod(axis=1) - common)
        at = others[same]
        means = (np.average(part[at], axis=0, weights=scores[at]) for part in (hips, tall))
        found.append((float(scores[best]), *(corner + (mean - (left, top)) / scale for mean in means)))
        left_to_find = [int(place) for place in others[~same]]
    return found


def _looked_at(network: "InferenceSession", rgb: NDArray[np.uint8], hips: Points, size: Points) -> tuple[float, FoundPerson]:
    """Presence of a person 0..1, and what the looker says: of all its landmarks. hips, size (2,) pixels."""
    upwards = size - hips
    half = float(np.hypot(*upwards)) * ZOOM
    step = 2 * half / LOOKER_PX  # the picture's pixels per pixel looked at
    angle = np.arctan2(upwards[0], -upwards[1])
    turn = step * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    placement = np.column_stack([turn, hips - 0.5 - turn @ np.full(2, (LOOKER_PX - 1) / 2)])
    shrink = min(1.0, 1 / step)  # what is much larger is made smaller first: a warp alone would skip pixels
    source = rgb if shrink > 0.7 else cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    ratio = np.array([source.shape[1] / rgb.shape[1], source.shape[0] / rgb.shape[0]])[:, None]
    there = placement * ratio
    there[:, 2] += (ratio[:, 0] - 1) / 2
    seen = cv2.warpAffine(source, there, (LOOKER_PX, LOOKER_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    told, presence, outline = network.run(None, {network.get_inputs()[0].name: seen[None].astype(np.float32) / 255})
    marks = told.reshape(-1, 5)  # x, y, z, seen, in the picture
    landmarks = (marks[:, :2] - 0.5) @ turn.T + placement[:, 2] + 0.5  # theirs are from the corner too, placement is of pixels' indices
    return float(presence[0, 0]), FoundPerson(landmarks, outline[0, :, :, 0], placement)


@lru_cache(maxsize=1)
def _anchors() -> Points:
    """(2254, 2) middles of the detector's anchors, 0..1."""
    cells = []
    for side, anchors in ANCHORS:
        y, x = np.mgrid[0:side, 0:side]
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(anchors, axis=0) / side + 0.5 / side)
    return np.concatenate(cells)


@lru_cache(maxsize=2)
def _session(path: Path, changed_ns: int, side_px: int) -> "InferenceSession":
    import torch

    try:
        import onnxruntime
    except ImportError as error:
        raise NcpifuError(f"onnxruntime cannot be imported ({error})", "pip install onnxruntime, or set NCPIFU_BLAZEPOSE=none") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1  # it would take all cores of the machine
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes derive from nothing narrower
        raise NcpifuError(f"{path} holds no network that can be run: {str(error).splitlines()[0]}", "fetch it again: git checkout weights") from error
    if [seen.shape for seen in session.get_inputs()] != [[1, side_px, side_px, 3]]:
        raise NcpifuError(f"{path} holds another network than BlazePose's for {side_px} px", "fetch it again: git checkout weights")
    return session
