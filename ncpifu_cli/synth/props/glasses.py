"""Glasses and sunglasses."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.looks.palette import LEATHER
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.props.wearer import Wearer, prop
from ncpifu_cli.synth.skeleton import rigid
from ncpifu_cli.synth.sweep import ellipse, resample, sweep

Array = NDArray[np.float64]


def _frame(w: Wearer, color: Array, lens: Array | None) -> list[Part]:
    """Rims, bridge and temples; lenses when they are dark."""
    head = w.scalp.head
    width, height = w.rng.uniform(0.023, 0.028) * head.scale, w.rng.uniform(0.017, 0.024) * head.scale
    squareness = w.rng.uniform(2, 4)
    before = head.eyes[1] - 0.026 * head.scale
    radius = w.rng.uniform(0.003, 0.005)
    wire = ellipse(radius, radius)
    angle = np.arange(48) / 48 * 2 * np.pi
    reach = (np.abs(np.cos(angle)) ** squareness + np.abs(np.sin(angle)) ** squareness) ** (-1 / squareness)
    ring = np.stack([np.cos(angle) * reach * width, np.zeros(48), np.sin(angle) * reach * height], axis=1)
    radial, forwards = np.stack([np.cos(angle), np.zeros(48), np.sin(angle)], axis=1), np.array([0.0, 1.0, 0.0])
    pieces = []
    for eye, side in ((head.eye_left, 1), (head.eye_right, -1)):
        centre = np.array([eye[0] + side * 0.002, before, eye[2] - 0.002])
        pieces.append((*sweep(centre + ring, radial, forwards, wire, closed=True), color))
        if lens is not None:
            pieces.append(
                (
                    *sweep(centre + ring * 0.97, radial, forwards, np.array([[0, -0.001], [0, 0.001], [-0.9 * height, 0.001], [-0.9 * height, -0.001]]), True),
                    lens,
                )
            )
        hinge = centre + np.array([side * width, 0, 0.3 * height])
        ear = np.array([side * 0.077 * head.scale, head.centre[1] + 0.015, hinge[2] + 0.004])
        path = resample(np.stack([hinge, [ear[0], before + 0.02, hinge[2]], ear, ear + np.array([-side * 0.004, 0.025, -0.03])]), 24, closed=False)
        pieces.append((*sweep(path, np.tile([1.0, 0, 0], (24, 1)), np.array([0.0, 0, 1]), wire, closed=False), color))
    bridge = np.stack(
        [
            [head.eye_left[0] - width, before, head.eyes[2] + 0.003],
            [0, before - 0.003, head.eyes[2] + 0.006],
            [head.eye_right[0] + width, before, head.eyes[2] + 0.003],
        ]
    )
    pieces.append((*sweep(resample(bridge, 12, closed=False), np.tile(forwards, (12, 1)), np.array([0.0, 0, 1]), wire, closed=False), color))
    return [Part("prop", rigid(v, w.scalp.head_transform), f, np.tile(c, (len(v), 1))) for v, f, c in pieces]


@prop()
def glasses(w: Wearer) -> list[Part]:
    return _frame(w, LEATHER[w.rng.integers(len(LEATHER))] * w.rng.uniform(0.5, 1.2), None)


@prop()
def sunglasses(w: Wearer) -> list[Part]:
    return _frame(w, np.full(3, 0.05), np.full(3, 0.06))
