"""Laying an outfit on a moving body: the body goes from rest to its pose while each layer is simulated, then settles on a finer mesh (design 2a)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.cloth import Cloth, Collider, Pins, Springs, StepSettings
from ncpifu_cli.synth.garments.build import Garment
from ncpifu_cli.synth.garments.fields import Landmarks
from ncpifu_cli.synth.noise import value_noise
from ncpifu_cli.synth.parts import RigidPart
from ncpifu_cli.synth.poses import Pose
from ncpifu_cli.synth.rotations import unit_rows
from ncpifu_cli.synth.skeleton import skin
from ncpifu_cli.synth.topology import Subdivision, catmull_clark, straight_triples, triangulate, unique_edges, vertex_normals

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Half as many frames and contact searches again gave the same stretch, folds and penetration for twice the time (docs/synth.md).
MOVING_FRAMES, SETTLING_FRAMES, FINE_FRAMES = 24, 8, 24
COARSE_FRAMES_PER_SEARCH, FINE_FRAMES_PER_SEARCH = 2, 4  # contact partners move with the collider in between
COARSE = StepSettings(substeps=14, gravity=9.8, damping=0.985, friction=0.4, thickness_m=0.004, reach_m=0.06, self_radius_m=0.008)
COARSE_SETTLING = StepSettings(substeps=14, gravity=9.8, damping=0.97, friction=0.4, thickness_m=0.004, reach_m=0.05, self_radius_m=0.008)
# Weaker gravity makes up for the fine mesh's sag: one sweep per substep leaves a longer chain of springs softer.
FINE = StepSettings(substeps=12, gravity=5.0, damping=0.985, friction=0.35, thickness_m=0.003, reach_m=0.04, self_radius_m=0.0045)
FINE_SETTLING = StepSettings(substeps=12, gravity=5.0, damping=0.95, friction=0.35, thickness_m=0.003, reach_m=0.04, self_radius_m=0.0045)
LAYER_THICKNESS_M = 0.0005  # each further layer keeps this much more distance

STRETCH = 2e-8  # compliance of the fabric's own edges: practically inextensible
WAIST_PIN, NECK_PIN, OPEN_NECK_PIN = 0.25, 0.04, 0.12  # share of the way to the body's motion per substep
FLATTEST = 0.985  # bending keeps two edges at least this straight


@dataclass(frozen=True)
class Draped:
    """One garment on the posed body, about 6 mm quads.

    Attributes: garment; rest (V, 3); posed (V, 3); quads (Q, 4); triangles; weights (V, J); stretch (E,): length over rest length - 1 of
    every edge.
    """

    garment: Garment
    rest: Array
    posed: Array
    quads: Index
    triangles: Index
    weights: sparse.csr_matrix
    stretch: Array


@dataclass
class _Motion:
    """The collider so far, frame by frame: coarse vertices and normals per frame with their triangles, and the finest final state;
    grounds_m: height of what the body stands or sits on."""

    frames: list[Array]
    normals: list[Array]
    triangles: Index
    final: Array
    final_triangles: Index
    poses: list[Array] = field(default_factory=list)
    grounds_m: list[float] = field(default_factory=list)

    def add(self, coarse_frames: list[Array], coarse_triangles: Index, final: Array, final_triangles: Index) -> None:
        """A finished layer joins the collider of the layers above."""
        # Parts share no triangle, so the normals of those that were there before stay as they are.
        normals = [vertex_normals(frame, coarse_triangles) for frame in coarse_frames]
        self.normals = [np.concatenate(pair) for pair in zip(self.normals, normals, strict=True)]
        self.triangles = np.concatenate([self.triangles, coarse_triangles + len(self.frames[0])])
        self.frames = [np.concatenate(pair) for pair in zip(self.frames, coarse_frames, strict=True)]
        self.final_triangles = np.concatenate([self.final_triangles, final_triangles + len(self.final)])
        self.final = np.concatenate([self.final, final])


def drape(
    garments: Sequence[Garment], model: BodyModel, shape: BodyShape, pose: Pose, parts: Sequence[RigidPart], noise_seed: int, device: str = "cpu"
) -> list[Draped]:
    """Simulate `garments` (innermost first) on the body as it moves from rest into `pose`. `parts` (shoes) are collided with."""
    motion = _body_motion(model, shape, pose, parts)
    draped = []
    for layer, garment in enumerate(garments):
        fabric = _Fabric(garment, noise_seed + 7 * layer)
        coarse_frames = _simulate_coarse(fabric, shape, motion, device)
        result = _simulate_fine(fabric, coarse_frames[-1], shape, motion, layer, device)
        motion.add(coarse_frames, fabric.triangles, result.posed, result.triangles)
        draped.append(result)
    return draped


def _body_motion(model: BodyModel, shape: BodyShape, pose: Pose, parts: Sequence[RigidPart]) -> _Motion:
    times = np.r_[0, 0.5 - 0.5 * np.cos(np.pi * np.arange(1, MOVING_FRAMES + 1) / MOVING_FRAMES)]
    poses = [shape.skeleton.transforms(pose.at(float(t))) for t in times]
    frames = [skin(shape.body, model.body_weights, p) for p in poses]
    normals = [vertex_normals(frame, model.body_triangles) for frame in frames]
    motion = _Motion(frames, normals, model.body_triangles, frames[-1], model.body_triangles, poses)
    for part in parts:
        moved = [skin(part.vertices, part.weights, p) for p in poses]
        motion.add(moved, part.triangles, moved[-1], part.triangles)
    motion.grounds_m = [float(frame[:, 2].min()) for frame in motion.frames]
    return motion


class _Fabric:
    """A garment's rest lengths, the same rule at both levels."""

    def __init__(self, garment: Garment, noise_seed: int) -> None:
        self.garment, self.spec, self.noise_seed = garment, garment.spec, noise_seed
        self.triangles = triangulate(garment.quads)

    def rest_scale(self, a: Array, b: Array, axis: Array, gather: Array) -> Array:
        """Rest length over pattern length for springs between (K, 3) points: slack along the limb, gathering across, random creases."""
        along = np.abs((unit_rows(b - a) * axis).sum(axis=1))
        scale = 1 + (self.spec.slack - 1) * along + gather * (1 - along)
        middle = (a + b) / 2
        creases = value_noise(middle * 11, self.noise_seed) + 0.6 * value_noise(middle * 27, self.noise_seed + 1)
        return scale * (1 + self.spec.crumple * creases)

    def springs(self, rest: Array, pairs: Index, axis: Array, gather: Array, compliance: float, through: Index | None = None) -> Springs:
        """Distance springs; for bending pairs, `through` are the middle vertices whose flattened length is kept."""
        i, j = pairs.T
        length = np.linalg.norm(rest[i] - rest[j], axis=1)
        if through is not None:
            flat = np.linalg.norm(rest[i] - rest[through], axis=1) + np.linalg.norm(rest[through] - rest[j], axis=1)
            length = np.maximum(length, FLATTEST * flat)
        scale = self.rest_scale(rest[i], rest[j], axis[i], (gather[i] + gather[j]) / 2)
        return Springs.of(pairs, length * scale, compliance)

    def level(self, rest: Array, quads: Index, axis: Array, gather: Array, stretch: float, bend: float, keep_flat: bool = True) -> list[Springs]:
        """Edge and bending springs of one mesh level."""
        triples = straight_triples(quads, len(rest))
        edges = self.springs(rest, unique_edges(triangulate(quads)), axis, gather, stretch)
        return [edges, self.springs(rest, triples[:, [0, 2]], axis, gather, bend, triples[:, 1] if keep_flat else None)]


def _pin_weights(garment: Garment, shape: BodyShape) -> tuple[Array, float]:
    """(V,) 1 where the garment is held to the body (waistband or neck), and how strongly."""
    spec = garment.spec
    if spec.cut in ("bottom", "skirt"):
        held = garment.rest[:, 2] > Landmarks.of(shape.skeleton).hip_z + spec.waist - 0.05
        return held.astype(np.float64), WAIST_PIN
    offset = (garment.rest - shape.skeleton.head("neck01")) * [1, 1, 0.7]
    held = np.linalg.norm(offset, axis=1) < 0.125
    return held.astype(np.float64), OPEN_NECK_PIN if spec.is_open else NECK_PIN


def _simulate_coarse(fabric: _Fabric, shape: BodyShape, motion: _Motion, device: str) -> list[Array]:
    """The garment at each frame of the motion; the last one settled."""
    garment = fabric.garment
    springs = fabric.level(garment.rest, garment.quads, garment.axis, garment.gather, STRETCH, garment.spec.bend)
    cloth = Cloth(garment.rest, garment.rest, Springs.joined(springs), device)
    held, strength = _pin_weights(garment, shape)
    pinned = np.flatnonzero(held > 0.5)
    targets = [skin(garment.rest[pinned], garment.weights[pinned], pose) for pose in motion.poses]
    cloth.pin(Pins(pinned, np.full(len(pinned), strength)), targets[0])
    collider = Collider(motion.frames[0], motion.triangles, device, motion.grounds_m[0])
    frames = [garment.rest]
    for index in range(1, len(motion.frames)):
        collider.move(motion.frames[index], motion.normals[index], motion.grounds_m[index])
        cloth.move_pins(targets[index])
        if index % COARSE_FRAMES_PER_SEARCH == 1:
            cloth.find_partners(collider, COARSE)
        cloth.frame(collider, COARSE)
        frames.append(cloth.positions)
    collider.rest()
    cloth.rest_pins()
    for index in range(SETTLING_FRAMES):
        if index % COARSE_FRAMES_PER_SEARCH == 0:
            cloth.find_partners(collider, COARSE_SETTLING)
        cloth.frame(collider, COARSE_SETTLING)
    frames[-1] = cloth.positions
    return frames


def _simulate_fine(fabric: _Fabric, coarse: Array, shape: BodyShape, motion: _Motion, layer: int, device: str) -> Draped:
    """Settle the subdivided garment; the coarse level's springs stay as soft guides, so that folds keep their width (3-8 cm)."""
    garment, spec = fabric.garment, fabric.spec
    step: Subdivision = catmull_clark(garment.quads, len(garment.rest))
    rest, weights = step.matrix @ garment.rest, (step.matrix @ garment.weights).tocsr()
    axis, gather = unit_rows(step.matrix @ garment.axis), step.matrix @ garment.gather
    springs = fabric.level(rest, step.quads, axis, gather, STRETCH, spec.bend)
    guides = fabric.level(rest, garment.quads, axis, gather, spec.fold_stretch, spec.fold_bend, keep_flat=False)
    cloth = Cloth(step.matrix @ coarse, rest, Springs.joined(springs + guides), device)
    held, strength = _pin_weights(garment, shape)
    pinned = np.flatnonzero(step.matrix @ held > 0.75)
    cloth.pin(Pins(pinned, np.full(len(pinned), strength)), skin(rest[pinned], weights[pinned], motion.poses[-1]))
    collider = Collider(motion.final, motion.final_triangles, device, motion.grounds_m[-1])
    thickness = FINE.thickness_m + LAYER_THICKNESS_M * layer
    for index in range(FINE_FRAMES):
        settings = replace(FINE if index < 0.6 * FINE_FRAMES else FINE_SETTLING, thickness_m=thickness)
        if index % FINE_FRAMES_PER_SEARCH == 0:
            cloth.find_partners(collider, settings)
        cloth.frame(collider, settings)
    posed = cloth.positions
    edges = springs[0]
    length = np.linalg.norm(posed[edges.pairs[:, 0]] - posed[edges.pairs[:, 1]], axis=1)
    return Draped(garment, rest, posed, step.quads, triangulate(step.quads), weights, length / edges.rest - 1)
