"""The hairy part of the head and shells grown from it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.looks.head import Head
from ncpifu_cli.synth.noise import fractal_noise, smoothstep, value_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.rotations import unit, unit_rows
from ncpifu_cli.synth.skeleton import skin
from ncpifu_cli.synth.topology import boundary_edges, catmull_clark, neighbour_mean, submesh, triangulate, vertex_normals

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CROWN = unit([0.02, 0.35, 1])  # the axis hair falls from


@dataclass(frozen=True)
class Hairline:
    """Where hair begins, metres above the eyes for an average head: at the forehead, the temples' ends, the nape."""

    front: float = 0.068
    side: float = -0.005
    back: float = -0.085

    def height(self, head: Head, points: Array) -> Array:
        """(N,) signed metres above the hairline."""
        turn = np.abs(head.azimuth(points)) / np.pi
        knots = [0, 0.18, 0.3, 0.37, 0.43, 0.47, 0.54, 0.62, 0.8, 1]
        f, s, b = self.front, self.side, self.back
        line = np.array([f, f * 0.98, f * 0.8, f * 0.42, s * 0.5 + 0.008, s - 0.012, s + 0.012, (s + b) * 0.5, b * 0.95, b])
        return points[:, 2] - head.eyes[2] - np.interp(turn, knots, line * head.scale)


@dataclass(frozen=True)
class Scalp:
    """One person's head, rest pose. Attributes: the fine body's points (V, 3), normals, weight of the head bone (V), ears (V) 0..1; head;
    model, shape; transforms (J, 3, 4) into the pose."""

    model: BodyModel
    shape: BodyShape
    head: Head
    transforms: Array
    points: Array
    normals: Array
    on_head: Array
    ears: Array

    @staticmethod
    def of(model: BodyModel, shape: BodyShape, head: Head, transforms: Array) -> "Scalp":
        """The scalp of `shape` in the pose given by `transforms` (J, 3, 4)."""
        points = model.fine.matrix @ shape.body
        on_head = np.asarray(model.fine.weights[:, [shape.skeleton.index["head"]]].todense()).ravel()
        return Scalp(model, shape, head, transforms, points, vertex_normals(points, model.fine.triangles), on_head, model.fine.mask("ears"))

    @property
    def head_transform(self) -> Array:
        """(3, 4) rest -> posed of the head bone."""
        return self.transforms[self.shape.skeleton.index["head"]]


@dataclass(frozen=True)
class ScalpPoints:
    """Where a shell's thickness is asked for: points (N, 3) rest; azimuth (N) 0 in front; elevation (N) radians above the skull's centre;
    height (N) metres above the hairline; offset (N, 3) from the skull's centre."""

    points: Array
    azimuth: Array
    elevation: Array
    height: Array
    offset: Array


Thickness = Callable[[ScalpPoints], Array]


@dataclass(frozen=True)
class ShellStyle:
    """relief_m of the strands, their fineness (1 = about 15 mm locks), frayed: how ragged the hairline is, metres; over_ears: covers them."""

    relief_m: float = 0.003
    fineness: float = 1.0
    frayed: float = 0.004
    is_hair: bool = True
    over_ears: bool = False


def grow_shell(scalp: Scalp, line: Hairline, thickness: Thickness, color: Array, style: ShellStyle, seed: int, name: str = "hair") -> Part:
    """A shell over the scalp above `line`, `thickness` metres high, posed; strands run down from the crown."""
    ragged = style.frayed * fractal_noise(scalp.points * 45, 2, seed)
    height = line.height(scalp.head, scalp.points) + ragged
    kept = (height > -0.004) & (scalp.on_head > 0.45) & (scalp.points[:, 1] > scalp.head.eyes[1]) & ((scalp.ears < 0.3) | style.over_ears)
    quads, ids = submesh(scalp.model.fine.quads, kept[scalp.model.fine.quads].all(axis=1))
    step = catmull_clark(quads, len(ids))
    coarse, height = scalp.points[ids], height[ids]
    if not style.is_hair:  # a hat's edge is straight
        rim = np.unique(boundary_edges(quads))
        coarse[rim, 2] -= height[rim]
        height[rim] = 0
    points, height = step.matrix @ coarse, step.matrix @ height
    weights: sparse.csr_matrix = (step.matrix @ scalp.model.fine.weights[ids]).tocsr()
    triangles = triangulate(step.quads)
    mean = neighbour_mean(step.quads, len(points))
    normals = vertex_normals(points, triangles)
    for _ in range(6):
        normals = mean @ normals
    normals = unit_rows(normals)
    offset = points - scalp.head.centre
    where = ScalpPoints(points, scalp.head.azimuth(points), np.arctan2(offset[:, 2], np.hypot(offset[:, 0], offset[:, 1])), height, offset)
    rise = smoothstep(-0.003, 0.018, height) if style.is_hair else np.ones(len(points))
    strands = _strands(offset, style.fineness, seed) if style.is_hair else np.zeros(len(points))
    grown = points + normals * (rise * (thickness(where) + style.relief_m * strands))[:, None]
    grown = grown + 0.3 * (mean @ grown - grown)
    edge = np.unique(boundary_edges(step.quads))
    grown[edge] = points[edge] - normals[edge] * 0.002
    shade = 1 + 0.4 * strands + 0.1 * value_noise(points * 300, seed) if style.is_hair else np.ones(len(points))
    return Part(name, skin(grown, weights, scalp.transforms), triangles, np.clip(color * shade[:, None], 0, 1))


def _strands(offset: Array, fineness: float, seed: int) -> Array:
    """(N,) noise drawn out along the fall of the hair."""
    right = unit(np.cross(CROWN, [0, 1, 0]))
    around = np.arctan2(offset @ right, offset @ np.cross(CROWN, right))
    place = np.stack([np.cos(around) * 9 * fineness, np.sin(around) * 9 * fineness, (offset @ CROWN) * 14], axis=1)
    return fractal_noise(place, 4, seed, 0.62)
