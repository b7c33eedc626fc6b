"""The points of a person by which a pose is told: joints, tips and eyes, left before right in every pair ("left" is the person's own left)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDES = ("left", "right")
PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe", "eye", "index")
KEYPOINTS = tuple(f"{side}_{part}" for part in PARTS for side in SIDES)


def named(points: NDArray[np.floating]) -> dict[str, list[float]]:
    """(K, 3) as JSON has it, to a tenth of a millimetre."""
    return {name: [round(float(x), 4) for x in point] for name, point in zip(KEYPOINTS, points, strict=True)}


def from_named(points: Mapping[str, Any]) -> NDArray[np.float32]:
    """(K, 3), inverse of `named`. Raises ValueError where one is missing or no point."""
    try:
        return np.array([points[name] for name in KEYPOINTS], np.float32).reshape(len(KEYPOINTS), 3)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not all keypoints are told: {error}") from error
