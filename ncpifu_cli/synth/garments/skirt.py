"""Skirts, dresses and coats: the lower edge of a garment grown downwards row by row, clear of the legs' convex hull."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from ncpifu_cli.synth.garments.fields import Landmarks
from ncpifu_cli.synth.garments.spec import GarmentSpec
from ncpifu_cli.synth.topology import boundary_loops, longest_run

Array = NDArray[np.float64]
Index = NDArray[np.int64]

ROW_M = 0.013
LEG_CLEARANCE_M = 0.012


class Grown(NamedTuple):
    """points (N, 3) new vertices; quads (Q, 4) of old and new; parents (N) the edge vertex each hangs from; progress (N) 0..1 to the hem."""

    points: Array
    quads: Index
    parents: Index
    progress: Array


def extrude_skirt(spec: GarmentSpec, rest: Array, quads: Index, body: Array, marks: Landmarks, bottom_z: float, rng: np.random.Generator) -> Grown:
    """Grow the lower edge of `rest` (V, 3) down to `bottom_z`. Radius: flared with gores, at least around both legs of `body` (B, 3)."""
    chain, closed = _lower_edge(rest, quads, marks, spec.is_open)
    base = rest[chain]
    centre = np.array([0, base[:, 1].mean()])
    angle = np.arctan2(base[:, 1] - centre[1], base[:, 0])
    outwards = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radius = np.linalg.norm(base[:, :2] - centre, axis=1)
    waves = 1 + spec.gores * np.sin(angle * spec.gore_count + rng.uniform(0, 2 * np.pi))
    rows = max(2, int((base[:, 2].mean() - bottom_z) / ROW_M))
    legs = body[(np.abs(body[:, 0]) < 0.45) & (body[:, 2] < marks.hip_z + 0.05)]
    points, new_quads = [], []
    previous = chain
    for row in range(rows):
        z = base[:, 2] + (bottom_z - base[:, 2]) * (row + 1) / rows
        flared = radius + spec.flare * (base[:, 2] - z) * waves
        around_legs = _hull_radius(legs[np.abs(legs[:, 2] - z.mean()) < 0.03, :2] - centre, outwards) + LEG_CLEARANCE_M
        points.append(np.column_stack([centre + outwards * np.maximum(flared, around_legs)[:, None], z]))
        current = len(rest) + row * len(chain) + np.arange(len(chain))
        here = np.arange(len(chain) if closed else len(chain) - 1)
        there = (here + 1) % len(chain)
        new_quads.append(np.stack([previous[there], previous[here], current[here], current[there]], axis=1))
        previous = current
    progress = np.repeat(np.arange(1, rows + 1) / rows, len(chain))
    return Grown(np.concatenate(points), np.concatenate([quads, *new_quads]), np.tile(chain, rows), progress)


def _lower_edge(rest: Array, quads: Index, marks: Landmarks, is_open: bool) -> tuple[Index, bool]:
    """The chain of vertices along the lower edge in walking order, and whether it goes all round; it does not where the front is open."""
    loops = [loop for loop in boundary_loops(quads) if rest[loop, 2].min() < marks.hip_z + 0.06 and np.ptp(rest[loop, 0]) > 0.2]
    loop = max(loops, key=len)
    # Cut at the hip joints: a front corner that hangs lower must not pass for the whole edge, nor a few higher vertices for its end.
    low = rest[loop, 2] < max(rest[loop, 2].min(), marks.hip_z) + 0.045
    if low.all() or not is_open:
        return loop, True
    up_the_front = longest_run(~low)
    return np.roll(loop, -int(up_the_front[-1]) - 1)[: len(loop) - len(up_the_front)], False


def _hull_radius(points: Array, outwards: Array) -> Array:
    """How far the convex hull of (P, 2) points around the origin reaches along unit directions (D, 2); 0 with too few points."""
    if len(points) < 4:
        return np.zeros(len(outwards))
    hull = points[ConvexHull(points).vertices]
    edge = np.roll(hull, -1, axis=0) - hull
    normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    distance = (normal * hull).sum(axis=1)
    facing = outwards @ normal.T
    return np.where(facing > 1e-6, distance / np.maximum(facing, 1e-6), 9.0).min(axis=1)
