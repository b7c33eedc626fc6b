"""Spec + rest body -> a garment's rest shape: cut from the tights, offset by the ease, edges straightened, skirts extruded (design, section 2)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.garments.fields import TORSO, Landmarks, SurfaceFields, surface_fields
from ncpifu_cli.synth.garments.skirt import extrude_skirt
from ncpifu_cli.synth.garments.spec import GarmentSpec
from ncpifu_cli.synth.rotations import unit, unit_rows
from ncpifu_cli.synth.topology import boundary_edges, boundary_loops, largest_component, neighbour_mean, submesh, triangulate, vertex_normals

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

EDGE_SMOOTHING = 8  # Taubin steps along hems and necklines
SEAT_M = 0.0  # tops and skirts are cut at the hip joints; what reaches lower is extruded


@dataclass(frozen=True)
class Garment:
    """A garment around the rest body, about 1.2 cm quads.

    Attributes: spec; rest (V, 3) metres; quads (Q, 4); weights (V, J) of the skin below; axis (V, 3), along which it has slack;
    gather (V), extra horizontal rest length.
    """

    spec: GarmentSpec
    rest: Array
    quads: Index
    weights: sparse.csr_matrix
    axis: Array
    gather: Array


def build_garment(spec: GarmentSpec, model: BodyModel, shape: BodyShape, rng: np.random.Generator) -> Garment:
    """The garment in rest pose."""
    ids, suit = model.suit
    marks = Landmarks.of(shape.skeleton)
    points = suit.matrix @ shape.vertices[ids]
    weights = (suit.matrix @ model.weights[ids]).tocsr()
    fields = surface_fields(points, weights, shape.skeleton)
    normals = vertex_normals(points, triangulate(suit.quads))

    kept = _kept(spec, points, fields, marks)
    quads, used = submesh(suit.quads, kept[suit.quads].all(axis=1))
    quads, big = submesh(quads, largest_component(quads))
    used = used[big]
    points, weights, normals, fields = points[used], weights[used], normals[used], fields.at(used)

    rest = _offset(spec, points, quads, normals, fields, marks)
    axis = fields.axis.copy()
    _straighten_edges(spec, rest, quads, fields, marks)
    rest = _relaxed(rest, quads, steps=3, amount=0.5)
    garment = Garment(spec, rest, quads, weights, axis, np.zeros(len(rest)))
    bottom_z = _skirt_hem(spec, marks)
    if bottom_z is None:
        return garment
    grown = extrude_skirt(spec, rest, quads, shape.body, marks, bottom_z, rng)
    tail = grown.parents
    return Garment(
        spec,
        _relaxed(np.concatenate([rest, grown.points]), grown.quads, steps=5, amount=0.4),
        grown.quads,
        sparse.vstack([weights, weights[tail]]).tocsr(),
        np.concatenate([axis, np.tile([0.0, 0.0, 1.0], (len(tail), 1))]),
        np.concatenate([np.zeros(len(rest)), grown.progress * spec.gather]),
    )


def _skirt_hem(spec: GarmentSpec, marks: Landmarks) -> float | None:
    """The height a garment has to be extruded down to; None when the suit's own surface suffices."""
    if spec.cut == "skirt":
        return marks.hip_z - spec.length * (marks.hip_z - marks.foot_z)
    if spec.cut == "top" and spec.hem < -0.01:
        return marks.hip_z + spec.hem
    return None


def _kept(spec: GarmentSpec, points: Array, fields: SurfaceFields, marks: Landmarks) -> Mask:
    """Which vertices of the suit the garment covers."""
    z = points[:, 2]
    if spec.cut == "bottom":
        end = marks.hip_z + (marks.foot_z - marks.hip_z) * spec.length
        return ~fields.arm & (z < marks.hip_z + spec.waist) & ~(fields.leg & (z < end))
    if spec.cut == "skirt":
        return ~fields.arm & ~fields.leg & (z < marks.hip_z + spec.waist) & (z > marks.hip_z + SEAT_M)
    above_hem = fields.arm | (z > max(marks.hip_z + spec.hem, marks.hip_z + SEAT_M))
    in_sleeve = ~(fields.arm & (fields.along > spec.sleeve))
    return ~fields.leg & above_hem & in_sleeve & ~_neck_hole(spec, points, fields, marks)


def _neck_hole(spec: GarmentSpec, points: Array, fields: SurfaceFields, marks: Landmarks) -> Mask:
    """The opening at the neck, a V below it, and an open front."""
    behind = points[:, 1] - marks.neck[1]
    front = np.clip(-behind / 0.08, 0, 1)
    distance = np.hypot(points[:, 0], behind + 0.02)
    neck_z = marks.neck[2]
    hole = (points[:, 2] > neck_z + 0.035 - spec.neck * (0.35 + front)) & (distance < 0.09 + spec.neck * 0.45)
    if spec.v_neck > 0.03:
        tip = neck_z - 0.02 - spec.v_neck
        half_width = 0.075 * np.clip((points[:, 2] - tip) / spec.v_neck, 0, 1)
        hole |= (front > 0.1) & (points[:, 2] > tip) & (np.abs(points[:, 0]) < half_width)
    if spec.is_open:
        hole |= (np.abs(points[:, 0]) < spec.open_front) & (behind < -0.02)
    return hole & fields.torso


def _ease(spec: GarmentSpec, points: Array, fields: SurfaceFields, marks: Landmarks) -> Array:
    """(V,) gap between body and cloth."""
    z = points[:, 2]
    if spec.cut == "skirt":
        return spec.ease * np.clip((marks.hip_z + spec.waist - z) / 0.12, 0.15, 1)
    if spec.cut == "bottom":
        down = np.clip((marks.hip_z - z) / (marks.hip_z - marks.foot_z), 0, 1)
        leg = spec.ease * (0.6 + 0.4 * np.clip(down / 0.15, 0, 1)) + spec.hem_ease * np.clip((down - 0.2) / 0.7, 0, 1)
        hips = spec.ease * np.clip((marks.hip_z + spec.waist - z) / 0.12, 0.12, 0.6)
        gap = np.where(fields.leg, leg, hips)
        return np.where(fields.leg & (down > spec.length - 0.06), 0.004, gap) if spec.cuffs else gap
    below_shoulder = np.clip((marks.shoulder_z - z) / (marks.shoulder_z - marks.hip_z + 0.1), 0, 1)
    torso = spec.ease * (0.35 + 0.65 * below_shoulder) + spec.flare * np.clip((marks.waist_z + 0.08 - z) / 0.3, 0, 2)
    sleeve_ease = spec.ease * 0.8 if spec.sleeve_ease is None else spec.sleeve_ease
    taper = 0.5 + 0.5 * np.clip(fields.along / 0.35, 0, 1) - 0.45 * np.clip((fields.along - 0.5) / 0.5, 0, 1)
    arm = sleeve_ease * taper + spec.bell * np.clip(fields.along - 0.5, 0, 1)
    gap = np.where(fields.arm, arm, torso)
    if spec.cuffs:
        gap = np.where(fields.arm & (fields.along > spec.sleeve - 0.09), 0.006, gap)
    if spec.ribbed:
        gap = np.where(fields.torso & (z < marks.hip_z + spec.hem + 0.06), 0.004, gap)
    return gap


def _offset(spec: GarmentSpec, points: Array, quads: Index, normals: Array, fields: SurfaceFields, marks: Landmarks) -> Array:
    """The cut-out pushed off the body along smoothed normals, its edges and surface smoothed."""
    mean = neighbour_mean(quads, len(points))
    gap = _ease(spec, points, fields, marks)
    for _ in range(6):
        gap = mean @ gap
    for _ in range(4):
        normals = mean @ normals
    rest = _smooth_edges(points + unit_rows(normals) * gap[:, None], quads)
    return _relaxed(rest, quads, steps=int(4 + spec.ease * 200), amount=0.4, inner_only=False)


def _smooth_edges(points: Array, quads: Index) -> Array:
    """Taubin-smooth the boundary curves, then let the inside follow a little."""
    edges = boundary_edges(quads)
    along = neighbour_mean(edges, len(points))
    on_edge = np.zeros(len(points), bool)
    on_edge[edges.ravel()] = True
    for _ in range(EDGE_SMOOTHING):
        for strength in (0.5, -0.52):
            points = np.where(on_edge[:, None], points + strength * (along @ points - points), points)
    return _relaxed(points, quads, steps=2, amount=0.3)


def _relaxed(points: Array, quads: Index, steps: int, amount: float, inner_only: bool = True) -> Array:
    """Laplacian smoothing that leaves the boundary alone (or, with inner_only=False, only its corners)."""
    mean = neighbour_mean(quads, len(points))
    fixed = np.zeros(len(points), bool)
    if inner_only:
        fixed[boundary_edges(quads).ravel()] = True
    else:
        fixed = np.diff(mean.indptr) <= 3
    for _ in range(steps):
        points = np.where(fixed[:, None], points, points + amount * (mean @ points - points))
    return points


def _straighten_edges(spec: GarmentSpec, rest: Array, quads: Index, fields: SurfaceFields, marks: Landmarks) -> None:
    """Snap hems and cuffs to planes across the limb, and the edges of an open front to vertical lines; in place."""
    for loop in boundary_loops(quads):
        curve = rest[loop]
        at_neck = spec.cut == "top" and curve[:, 2].mean() > marks.shoulder_z and abs(curve[:, 0].mean()) < 0.06
        round_the_front = spec.is_open and len(loop) > 60
        if at_neck or round_the_front:
            continue
        axis = unit(fields.axis[loop].mean(axis=0))
        height = curve @ axis
        rest[loop] = curve + 0.95 * (np.median(height) - height)[:, None] * axis
    if spec.is_open:
        edge = np.unique(boundary_edges(quads))
        edge = edge[fields.region[edge] == TORSO]
        lowest = edge[rest[edge, 2] < rest[edge, 2].min() + 0.03]
        rest[lowest, 2] = rest[lowest, 2].min() + 0.008
        x, y, z = rest[edge].T
        front = edge[(np.abs(x) < spec.open_front + 0.035) & (y < 0) & (z < marks.neck[2] - 0.03)]
        rest[front, 0] = np.sign(rest[front, 0]) * np.median(np.abs(rest[front, 0]))
