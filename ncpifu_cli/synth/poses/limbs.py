"""From directions to joint rotations: arms, legs, feet, hands. All in rest-world axes (x: the subject's left, y: back, z: up)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncpifu_cli.synth.rotations import about, align, hinge_frame, limited, scaled, swing_twist, unit
from ncpifu_cli.synth.skeleton import Skeleton

Array = NDArray[np.float64]
Rotations = dict[str, Array]

# Shares of a limb's twist taken by its two halves: one joint alone would wring the skin like a sweet's wrapper.
UPPER_ARM_TWIST = (0.55, 0.45)
UPPER_LEG_TWIST = (0.6, 0.4)
FOREARM_TWIST = (0.6, 0.4)


class Limb(NamedTuple):
    """Directions (any length) of the upper and the lower segment. Arms: supination_deg turns the hand, thumb outwards and forwards."""

    upper: Array
    lower: Array
    supination_deg: float = 0.0


def sign(side: str) -> int:
    """+1 for the left side (x > 0), -1 for the right."""
    return 1 if side == "L" else -1


def two_bone_ik(root: Array, upper_length: float, lower_length: float, target: ArrayLike, pole: ArrayLike) -> Limb:
    """The limb from `root` whose end is at `target`, bent towards `pole` (a direction).

    Targets out of reach are approached along their direction, up to 98.5 % of the stretched limb and down to 25 %.
    """
    offset = np.asarray(target, np.float64) - root
    direction = unit(offset)
    total = upper_length + lower_length
    distance = float(np.clip(np.linalg.norm(offset), 0.25 * total, 0.985 * total))
    bend = np.asarray(pole, np.float64)
    bend = unit(bend - (bend @ direction) * direction)
    along = (distance**2 + upper_length**2 - lower_length**2) / (2 * distance)
    aside = np.sqrt(max(upper_length**2 - along**2, 1e-6))
    joint = direction * along + bend * aside
    return Limb(joint, direction * distance - joint)


def pose_arm(skeleton: Skeleton, side: str, limb: Limb) -> Rotations:
    """Clavicle, upper-arm and elbow rotations that point the arm along `limb`."""
    shoulder, elbow, wrist = skeleton.arm(side)
    rest_upper, rest_lower = unit(elbow - shoulder), unit(wrist - elbow)
    upper, lower = unit(limb.upper), unit(limb.lower)
    clavicle = _clavicle(side, upper)
    upper, lower = clavicle.T @ upper, clavicle.T @ lower
    if abs(upper @ lower) > 0.995:  # a straight arm has no hinge plane: bend it a little, elbow back and out
        lower = unit(lower + 0.12 * unit(np.array([0.1 * sign(side), -1, 0.3])))
    whole = hinge_frame(upper, lower) @ hinge_frame(rest_upper, rest_lower).T
    swing, twist = swing_twist(whole, rest_upper)
    return {
        f"clavicle.{side}": clavicle,
        f"upperarm01.{side}": swing @ scaled(twist, UPPER_ARM_TWIST[0]),
        f"upperarm02.{side}": scaled(twist, UPPER_ARM_TWIST[1]),
        f"lowerarm01.{side}": align(rest_lower, whole.T @ lower),
        f"lowerarm02.{side}": about(rest_lower, -sign(side) * limb.supination_deg * FOREARM_TWIST[0]),
        f"wrist.{side}": about(rest_lower, -sign(side) * limb.supination_deg * FOREARM_TWIST[1]),
    }


def _clavicle(side: str, upper: Array) -> Array:
    """Shoulder girdle: rises with the arm's elevation, comes forward with its reach."""
    elevation_deg = np.degrees(np.arcsin(np.clip(upper[2], -1, 1)))
    lift = np.clip((elevation_deg + 25) * 0.22, -4, 24)
    forward = np.clip(-upper[1] * 12, -6, 14)
    return about([0, 1, 0], -sign(side) * lift) @ about([0, 0, 1], -sign(side) * forward)


def pose_leg(skeleton: Skeleton, side: str, limb: Limb) -> Rotations:
    """Hip and knee rotations that point the leg along `limb`; the knee bends forwards."""
    hip, knee, ankle = skeleton.leg(side)
    rest_upper, rest_lower = unit(knee - hip), unit(ankle - knee)
    upper, lower = unit(limb.upper), unit(limb.lower)
    if np.linalg.norm(np.cross(upper, lower)) > 0.08:
        whole = _knee_frame(upper, lower) @ _knee_frame(rest_upper, rest_upper).T
    else:
        whole = align(rest_upper, upper)
    swing, twist = swing_twist(whole, rest_upper)
    twist = limited(twist, 40)
    whole = swing @ twist
    return {
        f"upperleg01.{side}": swing @ scaled(twist, UPPER_LEG_TWIST[0]),
        f"upperleg02.{side}": scaled(twist, UPPER_LEG_TWIST[1]),
        f"lowerleg01.{side}": align(rest_lower, whole.T @ lower),
    }


def _knee_frame(upper: Array, lower: Array) -> Array:
    """Columns: thigh, hinge (towards the subject's left), their cross product."""
    hinge = np.cross(upper, lower)
    if np.linalg.norm(hinge) < 0.08:
        hinge = np.cross(upper, [0, 1, 0])
    hinge = unit(hinge if hinge[0] >= 0 else -hinge)
    return np.stack([upper, hinge, np.cross(upper, hinge)], axis=1)


def level_foot(parent_rotation: Array, side: str, outward_deg: float) -> Array:
    """The ankle rotation that lays the sole parallel to the ground, toes turned out; an ankle gives 43 degrees at most."""
    return limited(parent_rotation.T @ about([0, 0, 1], sign(side) * outward_deg), 43)


def pose_hand(skeleton: Skeleton, side: str, curl_deg: float, rng: np.random.Generator) -> Rotations:
    """Relaxed fingers: closed towards the middle finger (the rest hand is spread), curled more towards the little one, thumb laid in."""
    palm = back_of_hand(skeleton, side)
    middle = _segment(skeleton, side, 3, 1)
    spread = rng.uniform(0.15, 0.45)  # how much of the rest spread remains
    rotations: Rotations = {}
    for finger in range(2, 6):
        strength = curl_deg * rng.uniform(0.8, 1.2) * (0.75 + 0.13 * finger)
        along = _segment(skeleton, side, finger, 1)
        flat = unit(along - (along @ palm) * palm)
        flat_middle = unit(middle - (middle @ palm) * palm)
        close = scaled(align(flat, flat_middle), 1 - spread)
        for joint, share in ((1, 1.0), (2, 1.15), (3, 0.7)):
            bend = about(np.cross(palm, _segment(skeleton, side, finger, joint)), strength * share)
            rotations[f"finger{finger}-{joint}.{side}"] = close @ bend if joint == 1 else bend
    thumb = _segment(skeleton, side, 1, 2)
    towards_palm = about(np.cross(thumb, -palm), rng.uniform(10, 22))
    rotations[f"finger1-1.{side}"] = towards_palm @ scaled(align(thumb, middle), 0.22)
    rotations[f"finger1-3.{side}"] = about(np.cross(thumb, -palm), rng.uniform(5, 20))
    return rotations


def back_of_hand(skeleton: Skeleton, side: str) -> Array:
    """Rest direction out of the back of the hand."""
    wrist = skeleton.head(f"wrist.{side}")
    index, little = skeleton.head(f"finger2-1.{side}"), skeleton.head(f"finger5-1.{side}")
    return unit(np.cross(index - wrist, little - wrist)) * sign(side)


def _segment(skeleton: Skeleton, side: str, finger: int, joint: int) -> Array:
    """Rest direction of a finger's bone (the last continues the one before)."""
    joint = min(joint, 2)
    return unit(skeleton.head(f"finger{finger}-{joint + 1}.{side}") - skeleton.head(f"finger{finger}-{joint}.{side}"))
