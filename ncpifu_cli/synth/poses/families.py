"""The pose families: what each aims the limbs at. Adding one is a function with the `family` decorator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncpifu_cli.synth.poses.limbs import Limb, sign, two_bone_ik
from ncpifu_cli.synth.rotations import about, unit
from ncpifu_cli.synth.skeleton import SIDES, Skeleton

Array = NDArray[np.float64]


@dataclass
class Targets:
    """What a family decides. Angles in degrees; lean forward, side and twist are those of the spine; heels raises a foot on its toes; airborne feet hang
    instead of standing."""

    arms: dict[str, Limb]
    legs: dict[str, Limb]
    lean: float
    side: float
    twist: float
    curl: float
    airborne: bool = False
    heels: dict[str, float] = field(default_factory=dict)
    joints: dict[str, Array] = field(default_factory=dict)


class PoseContext:
    """One person about to be posed: landmarks in rest coordinates, jitter, mirrored helpers.

    Attributes: lead, other: the side that acts and the other one, drawn by chance. push_m: how far wrist targets and hanging arms are moved away
    from the body's axis (for thick clothes, and raised while a pose goes through the body).
    """

    def __init__(self, skeleton: Skeleton, rng: np.random.Generator, push_m: float = 0.0) -> None:
        self.skeleton, self.rng, self.push_m = skeleton, rng, push_m
        self.hip_x = float(skeleton.head("upperleg01.L")[0])
        self.head_z = float(skeleton.head("head")[2])
        self.hip_z = float(skeleton.head("upperleg01.L")[2])
        self.chest_z = float(skeleton.head("spine03")[2])
        self.pelvis_z = float(skeleton.head("spine05")[2])
        self.lead, self.other = SIDES if rng.random() < 0.5 else SIDES[::-1]
        self.targets = Targets(
            arms={side: self.hanging(side) for side in SIDES},
            legs={side: self.standing(side) for side in SIDES},
            lean=self.jitter(2.5),
            side=self.jitter(2),
            twist=self.jitter(4),
            curl=float(rng.uniform(12, 28)),
        )

    def jitter(self, scale: float) -> float:
        """A normal draw around 0."""
        return float(self.rng.normal(0, scale))

    def between(self, low: float, high: float) -> float:
        """A uniform draw."""
        return float(self.rng.uniform(low, high))

    def limb(self, side: str, upper: ArrayLike, lower: ArrayLike, supination_deg: float = 0.0) -> Limb:
        """Directions given for the left side, mirrored for the right."""
        mirror = np.array([sign(side), 1.0, 1.0])
        return Limb(np.asarray(upper, np.float64) * mirror, np.asarray(lower, np.float64) * mirror, supination_deg)

    def hanging(self, side: str) -> Limb:
        """A relaxed arm."""
        out = 0.18 + abs(self.jitter(0.06)) + 3 * self.push_m
        lower = [0.07 + out * 0.3 + self.jitter(0.05), -0.20 + self.jitter(0.08), -1]
        return self.limb(side, [out, 0.08 + self.jitter(0.05), -1], lower, self.relaxed_hand())

    def relaxed_hand(self) -> float:
        """Degrees of supination: from palms to the thighs to palms half backwards."""
        return 50 + self.jitter(15)

    def standing(self, side: str) -> Limb:
        """A straight leg."""
        direction = [abs(self.jitter(0.045)), self.jitter(0.03), -1]
        return self.limb(side, direction, direction)

    def reach(self, side: str, wrist: ArrayLike, pole: ArrayLike) -> Limb:
        """IK with the wrist at a point of the left side's space, elbow towards `pole`; obeys `push_m`."""
        target = np.array(wrist, np.float64)
        if self.push_m:
            height = target[2] if target[2] < self.head_z else self.head_z + 0.02
            away = target - np.array([0, 0.03, height])
            away[0] *= 1.3 if abs(target[0]) > 0.1 else 0.15  # hands before the body are pushed forwards, others sideways
            target = target + self.push_m * unit(away)
        mirror = np.array([sign(side), 1.0, 1.0])
        shoulder, elbow, end = self.skeleton.arm(side)
        lengths = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(end - elbow))
        return two_bone_ik(shoulder, *lengths, target * mirror, np.asarray(pole, np.float64) * mirror)

    def stand_on(self, ankles: dict[str, ArrayLike], poles: dict[str, ArrayLike]) -> None:
        """IK with both ankles at points of the left side's space (x: 0 in the middle; y; z: above where it stands), knees towards `poles`.

        The hips come down until both legs reach."""
        offsets: dict[str, Array] = {}
        lengths: dict[str, tuple[float, float]] = {}
        down = 0.0
        for side, ankle in ankles.items():
            hip, knee, end = self.skeleton.leg(side)
            offsets[side] = np.asarray(ankle, np.float64) * [sign(side), 1.0, 1.0] + [0, end[1], end[2]] - hip
            lengths[side] = float(np.linalg.norm(knee - hip)), float(np.linalg.norm(end - knee))
            aside, reach = float(np.linalg.norm(offsets[side][:2])), 0.98 * sum(lengths[side])
            down = max(down, -float(offsets[side][2]) - max(reach**2 - aside**2, 0.0) ** 0.5)
        for side, offset in offsets.items():
            pole = np.asarray(poles.get(side, (0, -1, 0)), np.float64) * [sign(side), 1.0, 1.0]
            self.targets.legs[side] = two_bone_ik(np.zeros(3), *lengths[side], offset + np.array([0, 0, down]), pole)

    def hand_on_hip(self, side: str) -> None:
        """Aim one arm at the hip, elbow out."""
        spot = [self.hip_x + 0.115 + abs(self.jitter(0.01)), -0.03 + self.jitter(0.015), self.pelvis_z + 0.075 + self.jitter(0.015)]
        self.targets.arms[side] = self.reach(side, spot, [1, 0.55, 0])
        self.targets.joints[f"wrist.{side}"] = about([0, 1, 0], -30 * sign(side))  # in place of the forearm's twist


Limbs = Literal["arms", "legs", "all"]


@dataclass(frozen=True)
class Family:
    """A pose family: its name, how often it is drawn, whether only the `ood` split shows it, and which limbs it is about: an "arms" family can be laid over
    any "legs" family, its stance."""

    name: str
    aim: Callable[[PoseContext], None]
    weight: float
    held_out: bool
    limbs: Limbs


FAMILIES: dict[str, Family] = {}


def draw_family(rng: np.random.Generator, choices: list[Family]) -> Family:
    """One of `choices`, by weight."""
    weights = np.array([choice.weight for choice in choices])
    return choices[rng.choice(len(choices), p=weights / weights.sum())]


def family(weight: float = 1.0, held_out: bool = False, limbs: Limbs = "all") -> Callable[[Callable[[PoseContext], None]], Callable[[PoseContext], None]]:
    """Register a function that changes `context.targets` as the pose family of its name."""

    def register(aim: Callable[[PoseContext], None]) -> Callable[[PoseContext], None]:
        FAMILIES[aim.__name__] = Family(aim.__name__, aim, weight, held_out, limbs)
        return aim

    return register
