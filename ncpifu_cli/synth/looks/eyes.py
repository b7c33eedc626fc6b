"""Eyeballs: the body model's helper spheres with an iris by angle."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.looks.palette import IRIS
from ncpifu_cli.synth.noise import smoothstep, value_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.rotations import unit, unit_rows
from ncpifu_cli.synth.skeleton import SIDES, skin
from ncpifu_cli.synth.topology import catmull_clark, triangulate

Array = NDArray[np.float64]


def make_eyes(model: BodyModel, shape: BodyShape, transforms: Array, rng: np.random.Generator) -> list[Part]:
    """Both eyes, posed, looking the same way."""
    iris = IRIS[rng.integers(len(IRIS))]
    gaze = unit([rng.normal(0, 0.07), -1, rng.normal(-0.02, 0.05)])
    parts = []
    for side in SIDES:
        ids, quads = np.unique(model.eye_quads[side], return_inverse=True)
        step = catmull_clark(quads.reshape(-1, 4), len(ids))
        points = step.matrix @ shape.vertices[ids]
        weights = (step.matrix @ model.weights[ids]).tocsr()
        directions = unit_rows(points - points.mean(axis=0))
        parts.append(Part("eye", skin(points, weights, transforms), triangulate(step.quads), _paint(directions, gaze, iris)))
    return parts


def _paint(directions: Array, gaze: Array, iris: Array) -> Array:
    """(V, 3) white, iris, limbus, pupil by the angle to the gaze."""
    angle = np.degrees(np.arccos(np.clip(directions @ gaze, -1, 1)))
    color = np.array([0.86, 0.83, 0.81]) - smoothstep(30, 60, angle)[:, None] * np.array([0.1, 0.2, 0.2])
    inside = angle < 27
    color[inside] = iris * (0.8 + 0.3 * value_noise(directions[inside] * 40, 3)[:, None])
    color[(angle > 24) & (angle < 29)] = iris * 0.4
    color[angle < 12] = 0.02
    return np.clip(color, 0, 1)
