"""Where the keypoints of a posed body are."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.keypoints import KEYPOINTS
from ncpifu_cli.synth.skeleton import Skeleton, rigid

Array = NDArray[np.float64]

BONES = {  # whose heads they are
    "shoulder": "upperarm01",
    "elbow": "lowerarm01",
    "wrist": "wrist",
    "hip": "upperleg01",
    "knee": "lowerleg01",
    "ankle": "foot",
    "toe": "toe1-2",
    "eye": "eye",
    "index": "finger2-1",
}
LABELS = [f"{BONES[part]}.{side[0].upper()}" for side, part in (name.split("_") for name in KEYPOINTS)]


def keypoints(skeleton: Skeleton, transforms: Array) -> Array:
    """(K, 3) metres in the body model's frame, of bones moved by `transforms` (J, 3, 4)."""
    return np.stack([rigid(skeleton.head(label), transforms[skeleton.index[label]]) for label in LABELS])
