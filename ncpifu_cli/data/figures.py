"""Which parts of a mask are one person: people who do not touch are figures of their own."""

import cv2
import numpy as np
from numpy.typing import NDArray


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
        if owner is None and area >= 0.1 * stats[by_size[0]][4]:
            figures[label] = [label]
        elif owner is not None and area >= 0.002 * stats[owner][4]:
            figures[owner].append(label)
    return [np.isin(labels, figures[main]) for main in sorted(figures, key=lambda main: centres[main][0])]


def _holds(box: NDArray[np.int32], x: float, y: float) -> bool:
    return bool(box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3])
