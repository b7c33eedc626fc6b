"""A pose family and a person -> joint rotations; and the check that the result does not go through itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ncpifu_cli.config.synth import PoseWish
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.poses import library, medley  # noqa: F401  (importing them registers the families)
from ncpifu_cli.synth.poses.families import FAMILIES, PoseContext, Targets, draw_family
from ncpifu_cli.synth.poses.limbs import Limb, level_foot, pose_arm, pose_hand, pose_leg
from ncpifu_cli.synth.rotations import about, scaled
from ncpifu_cli.synth.skeleton import SIDES, Skeleton, skin
from ncpifu_cli.synth.streams import Streams
from ncpifu_cli.synth.topology import vertex_normals

Array = NDArray[np.float64]

LARGEST_OVERLAP = 0.02  # share of the body inside itself
PUSH_STEP_M = 0.018  # how much further out the hands go on each retry
TRIES = 6
FALLBACK = "stand"
STANCE_SHARE = 0.5  # of the families that are about the arms: on other legs than standing ones


@dataclass(frozen=True)
class Pose:
    """Attributes: family; rotations per joint, rest-world axes; overlap: share of the body inside itself; tries needed; stance: the family its legs are of,
    if another."""

    family: str
    rotations: Mapping[str, Array]
    overlap: float = 0.0
    tries: int = 1
    stance: str | None = None

    def at(self, fraction: float) -> dict[str, Array]:
        """The rotations on the way from rest (0) to the pose (1)."""
        if fraction == 1:
            return dict(self.rotations)
        vectors = Rotation.from_matrix(np.stack(list(self.rotations.values()))).as_rotvec() * fraction
        return dict(zip(self.rotations, Rotation.from_rotvec(vectors).as_matrix(), strict=True))


def choose_pose(rng: np.random.Generator, held_out: bool) -> PoseWish:
    """Draw a family by weight; `held_out` chooses among those that only the `ood` split shows. Half of the "arms" families get a drawn stance."""
    drawn = draw_family(rng, [f for f in FAMILIES.values() if f.held_out == held_out])
    stances = [f for f in FAMILIES.values() if f.limbs == "legs" and not f.held_out and f.name != FALLBACK]
    on_legs = drawn.limbs == "arms" and rng.random() < STANCE_SHARE
    return PoseWish(family=drawn.name, stance=draw_family(rng, stances).name if on_legs else None)


def rotations_for(wish: PoseWish, skeleton: Skeleton, rng: np.random.Generator, push_m: float = 0.0, heels_deg: float = 0.0) -> dict[str, Array]:
    """Joint rotations of one jittered pose; `heels_deg`: how far shoes tilt the feet. Raises NcpifuError for an unknown family, naming those that exist."""
    context = PoseContext(skeleton, rng, push_m)
    for name in (wish.stance or FALLBACK, wish.family):
        if name not in FAMILIES:
            raise NcpifuError(f"unknown pose {name!r}", f"poses: {', '.join(FAMILIES)}")
        FAMILIES[name].aim(context)
    targets = context.targets
    _change(targets, wish)
    rotations: dict[str, Array] = {}
    for side in SIDES:
        rotations |= pose_arm(skeleton, side, targets.arms[side])
        rotations |= pose_leg(skeleton, side, targets.legs[side])
        rotations |= pose_hand(skeleton, side, targets.curl, rng)
    rotations |= targets.joints
    _share(rotations, about([1, 0, 0], targets.lean) @ about([0, 1, 0], targets.side) @ about([0, 0, 1], targets.twist), "spine04 spine03 spine02 spine01")
    nod = about([0, 0, 1], rng.normal(0, 13)) @ about([1, 0, 0], rng.normal(0, 6)) @ about([0, 1, 0], rng.normal(0, 4))
    _share(rotations, nod, "neck01 neck02 head")
    rotations["root"] = about([1, 0, 0], targets.lean * 0.25)
    world = skeleton.transforms(rotations)
    for side in SIDES:
        parent = skeleton.parents[skeleton.index[f"foot.{side}"]]
        outward = 4 + abs(rng.normal(0, 6))
        foot = about([1, 0, 0], 2 * outward) if targets.airborne else level_foot(world[parent, :, :3], side, outward)
        rotations[f"foot.{side}"] = foot @ about([1, 0, 0], heels_deg + targets.heels.get(side, 0.0))
    return rotations


def _change(targets: Targets, wish: PoseWish) -> None:
    """What is wished otherwise than the family has it."""
    for side, limbs in (("L", (wish.left_arm, wish.left_leg)), ("R", (wish.right_arm, wish.right_leg))):
        for aimed, limb in zip((targets.arms, targets.legs), limbs, strict=True):
            if limb is not None:
                aimed[side] = Limb(np.array(limb.upper), np.array(limb.lower))
    for key in ("lean", "side", "twist", "curl"):
        if getattr(wish, key) is not None:
            setattr(targets, key, getattr(wish, key))


def _share(rotations: dict[str, Array], whole: Array, joints: str) -> None:
    names = joints.split()
    for name in names:
        rotations[name] = scaled(whole, 1 / len(names))


def self_overlap(vertices: Array, triangles: NDArray[np.int64]) -> float:
    """Share of the surface's vertices that lie inside the body twice (winding number above 1.5), moved 6 mm inwards first."""
    import igl

    inwards = (vertices - 0.006 * vertex_normals(vertices, triangles))[::3]
    winding = igl.fast_winding_number(vertices, triangles, inwards)
    return float((winding > 1.5).mean())


def solve_pose(model: BodyModel, shape: BodyShape, wish: PoseWish, streams: Streams, clothing_m: float = 0.0, heels_deg: float = 0.0) -> Pose:
    """The pose with the hands pushed outwards until less than 2 % of the body is inside itself; a plain stand where that fails.

    `clothing_m` is the room that clothes need between hands and body, `heels_deg` how far shoes tilt the feet.

    Raises NcpifuError for an unknown family.
    """
    best = Pose(wish.family, {}, overlap=np.inf)
    for index in range(TRIES):
        # The same jitter on every try: only the push differs.
        pose = _attempt(model, shape, wish, streams, clothing_m + index * PUSH_STEP_M, index + 1, heels_deg)
        if pose.overlap < LARGEST_OVERLAP:
            return pose
        best = min(best, pose, key=lambda p: p.overlap)
    fallback = _attempt(model, shape, PoseWish(family=FALLBACK), streams, 0.0, TRIES + 1, heels_deg)
    return min(fallback, best, key=lambda p: p.overlap)


def _attempt(model: BodyModel, shape: BodyShape, wish: PoseWish, streams: Streams, push_m: float, tries: int, heels_deg: float) -> Pose:
    rotations = rotations_for(wish, shape.skeleton, streams.get("pose"), push_m, heels_deg)
    posed = skin(shape.body, model.body_weights, shape.skeleton.transforms(rotations))
    return Pose(wish.family, rotations, self_overlap(posed, model.body_triangles), tries, wish.stance)
