"""Which parts of a mask are one person: people who do not touch are figures of their own, those who touch are taken apart where BlazePose sees each."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.blazepose import FoundPerson, outlines

LEAST_OF_LARGEST = 0.1  # of the largest figure's pixels: smaller ones are nobody
LEAST_OF_TALLEST = 0.4  # of the tallest person's size
TORSO = (11, 12, 23, 24)  # BlazePose's landmarks of shoulders and hips
TALL_PX = 200  # heads are looked for in outlines this many rows tall
LIMB, HEAD = 0.031, (0.08, 0.22)  # of a whole person's height: half the width of what is left out (arms as a rule), and how wide heads are
NECK, MIDDLE, DOWN_TO = 0.1, 0.06, 0.4  # of the same: a head stands out so far above what joins it to others, is measured there, and is below the highest


def separate_figures(binary: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The separate figures from left to right, none under a tenth of the largest.

    A smaller part whose middle lies in a figure's bounding box belongs to it (a hand behind a strap); specks belong to nobody.
    """
    _, labels, stats, centres = cv2.connectedComponentsWithStats(binary.astype(np.uint8), connectivity=8)
    by_size = [int(label) for label in np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1]
    figures: dict[int, list[int]] = {}
    for label in by_size:
        left, top, width, height, area = (int(value) for value in stats[label])
        owner = next((main for main in figures if _holds(stats[main], left + width / 2, top + height / 2) and area < 0.3 * stats[main][4]), None)
        if owner is None and area >= LEAST_OF_LARGEST * stats[by_size[0]][4]:
            figures[label] = [label]
        elif owner is not None and area >= 0.002 * stats[owner][4]:
            figures[owner].append(label)
    return [np.isin(labels, figures[main]) for main in sorted(figures, key=lambda main: centres[main][0])]


def people_apart(figure: NDArray[np.bool_], people: Sequence[FoundPerson]) -> list[NDArray[np.bool_]]:
    """The parts of a figure (H, W) that are one person each, where several of the `people` stand in it; else the figure as it is.

    A pixel is whose outline is surest there; pieces cut off from their person go to the nearest.
    """
    inside = [person for person in people if _stands_in(person, figure)]
    tallest = max((person.size for person in inside), default=0)
    inside = [person for person in inside if person.size > LEAST_OF_TALLEST * tallest]  # no face on a shirt
    if len(inside) < 2:
        return [figure]
    parts = _shared(figure, inside)
    large = [part.sum() >= LEAST_OF_LARGEST * max(map(np.count_nonzero, parts)) for part in parts]
    if not all(large):  # nobody's pixels may be lost: they go to the others
        return people_apart(figure, [person for person, kept in zip(inside, large, strict=True) if kept])
    return parts


def _shared(figure: NDArray[np.bool_], people: Sequence[FoundPerson]) -> list[NDArray[np.bool_]]:
    """Each one's part of a figure (H, W)."""
    owner = np.stack([outlines([person], figure.shape) for person in people]).argmax(axis=0)
    cores = [_largest_part(figure & (owner == place)) for place in range(len(people))]
    far = [cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5) if core.any() else np.full(figure.shape, np.inf) for core in cores]
    owner = np.argmin(far, axis=0)
    return [figure & (owner == place) for place in range(len(people))]


def person_in(figure: NDArray[np.bool_], people: Sequence[FoundPerson]) -> FoundPerson | None:
    """The one of the `people` who stands in a figure (H, W), the tallest if there are several; None if there is none."""
    return max((person for person in people if _stands_in(person, figure)), key=lambda person: person.size, default=None)


def head_count(figure: NDArray[np.bool_], whole_px: float) -> int:
    """How many heads stand out of an outline (H, W) at whose scale a whole person is `whole_px` rows tall: two people who touch have two.

    0 where something wider than a head stands out: the scale is another. Of 1368 outlines of single synthetic humans from all sides, arms up or not, 0.5 %
    seem to have more than one; of 447 of two humans who overlap, 81 % do.
    """
    drawn, scale = figure.astype(np.uint8), TALL_PX / whole_px
    x, y, w, h = cv2.boundingRect(drawn)
    small = cv2.resize(drawn[y : y + h, x : x + w], (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=cv2.INTER_AREA)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, 2 * (2 * round(LIMB * TALL_PX) + 1,))
    solid = cv2.morphologyEx(cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0), cv2.MORPH_OPEN, disc)
    neck, middle, narrowest, widest = (round(share * TALL_PX) for share in (NECK, MIDDLE, *HEAD))
    first, widths = int(np.argmax(solid.any(axis=1))), []
    for top in range(first, min(first + round(DOWN_TO * TALL_PX), len(solid) - neck) + 1):
        # what begins in this row and has met nothing that begins higher so far down as a neck
        _, labels, stats, _ = cv2.connectedComponentsWithStats(solid[: top + neck], connectivity=8)
        for label in 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_TOP] == top):
            widths.append(int((labels[top + middle] == label).sum()))
    if not widths or max(widths) > widest:
        return 0
    return sum(width >= narrowest for width in widths)


def _stands_in(person: FoundPerson, figure: NDArray[np.bool_]) -> bool:
    """Whether most of the shoulders and hips that are in the picture lie in the figure."""
    column, row = np.floor(person.landmarks[list(TORSO)]).astype(int).T
    shown = (row >= 0) & (row < figure.shape[0]) & (column >= 0) & (column < figure.shape[1])
    return bool(shown.any() and figure[row[shown], column[shown]].mean() > 0.5)


def _largest_part(binary: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(binary.astype(np.uint8), connectivity=8)
    return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if len(stats) > 1 else binary


def _holds(box: NDArray[np.int32], x: float, y: float) -> bool:
    return bool(box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3])
