"""The head's landmarks at rest: what skin paint and hair are placed by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.body import BodyModel, BodyShape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """Attributes: eye_left, eye_right, eyes (their middle), centre of the skull (3,), metres, rest pose; top_z; scale: 1 for an average head."""

    eye_left: Array
    eye_right: Array
    eyes: Array
    centre: Array
    top_z: float
    scale: float

    @staticmethod
    def of(model: BodyModel, shape: BodyShape) -> "Head":
        """Measure one person's head."""
        left, right = shape.skeleton.head("eye.L"), shape.skeleton.head("eye.R")
        eyes = (left + right) / 2
        weight = np.asarray(model.body_weights[:, [shape.skeleton.index["head"]]].todense()).ravel()
        skull = shape.body[weight > 0.5]
        back = skull[np.abs(skull[:, 2] - eyes[2]) < 0.04, 1].max()
        front = skull[np.abs(skull[:, 2] - eyes[2]) < 0.02, 1].min()
        top = float(skull[:, 2].max())
        centre = np.array([0, (front + back) / 2 + 0.01, eyes[2] + 0.015])
        return Head(left, right, eyes, centre, top, float((top - eyes[2]) / 0.115))

    def azimuth(self, points: Array) -> Array:
        """(N,) angle around the head, 0 in front, signed towards the left."""
        offset = points - self.centre
        return np.arctan2(offset[:, 0], -offset[:, 1])

    def in_front(self, points: Array, margin: float = 0.04) -> NDArray[np.bool_]:
        """(N,) points on the face's side of the skull."""
        return points[:, 1] < self.centre[1] - margin
