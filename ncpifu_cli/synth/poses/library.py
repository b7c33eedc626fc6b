"""The pose families of the design, section 1, and more: sitting, kneeling, in the air, at the telephone, and how people stand for a photographer.

Directions are for the left side, mirrored by `PoseContext.limb`.
"""

from ncpifu_cli.synth.poses.families import PoseContext, family
from ncpifu_cli.synth.skeleton import SIDES

ON_TOES_M = 0.0018  # how much higher an ankle is for each degree that the heel is raised


@family(weight=3.0, limbs="legs")
def stand(c: PoseContext) -> None:
    """The default targets."""


@family(limbs="arms")
def apose(c: PoseContext) -> None:
    out = c.between(0.5, 1.0)
    c.targets.arms = {side: c.limb(side, [out, 0.05, -1], [out * 0.95, -0.12, -1], c.between(0, 60)) for side in SIDES}


@family(limbs="arms")
def tpose(c: PoseContext) -> None:
    rise = c.between(-0.25, 0.15)
    c.targets.arms = {side: c.limb(side, [1, 0.02, rise], [1, -0.1, rise + c.jitter(0.05)]) for side in SIDES}


@family(limbs="arms")
def akimbo(c: PoseContext) -> None:
    for side in SIDES:
        c.hand_on_hip(side)


@family(limbs="arms")
def akimbo_one(c: PoseContext) -> None:
    c.hand_on_hip(c.lead)


@family(limbs="arms")
def crossed(c: PoseContext) -> None:
    c.targets.arms[c.lead] = c.reach(c.lead, [-0.06, -0.255, c.chest_z + 0.17], [0.75, 0.25, -0.8])
    c.targets.arms[c.other] = c.reach(c.other, [-0.05, -0.185, c.chest_z + 0.10], [0.75, 0.25, -0.8])
    c.targets.curl = 12


@family(weight=2.0, limbs="legs")
def walk(c: PoseContext) -> None:
    stride, swing = c.between(0.25, 0.5), c.between(0.2, 0.5)
    c.targets.legs[c.lead] = c.limb(c.lead, [0.05, -stride, -1], [0.05, -stride * 0.35, -1])
    c.targets.legs[c.other] = c.limb(c.other, [0.05, stride * 0.55, -1], [0.03, stride * 1.35, -1])
    c.targets.arms[c.other] = c.limb(c.other, [0.20 + 3 * c.push_m, -swing, -1], [0.12, -swing - 0.45, -1], c.relaxed_hand())
    c.targets.arms[c.lead] = c.limb(c.lead, [0.22 + 3 * c.push_m, swing, -1], [0.17, swing * 0.3, -1], c.relaxed_hand())
    c.targets.lean = c.between(0, 5)


@family(held_out=True)
def stride_turn(c: PoseContext) -> None:
    walk(c)
    c.targets.twist = float(c.rng.choice([-1, 1])) * c.between(12, 25)


@family()
def run(c: PoseContext) -> None:
    c.targets.legs[c.lead] = c.limb(c.lead, [0.04, -0.85, -1], [0.04, 0.55, -1])
    c.targets.legs[c.other] = c.limb(c.other, [0.04, 0.35, -1], [0.03, 1.1, -1])
    c.targets.arms[c.other] = c.limb(c.other, [0.3, -0.35, -1], [-0.12, -1, 0.25], 50)
    c.targets.arms[c.lead] = c.limb(c.lead, [0.35, 0.7, -1], [0.1, -1, -0.45], 50)
    c.targets.lean = c.between(6, 14)
    c.targets.curl = 55


@family(held_out=True)
def lunge(c: PoseContext) -> None:
    c.targets.legs[c.lead] = c.limb(c.lead, [0.12, -0.9, -1], [0.08, 0.12, -1])
    c.targets.legs[c.other] = c.limb(c.other, [0.1, 0.45, -1], [0.05, 0.9, -1])
    c.targets.arms[c.lead] = c.limb(c.lead, [0.4, 0.1, -1], [0.1, -0.8, -0.6])
    c.targets.lean = c.between(0, 10)


@family()
def squat(c: PoseContext) -> None:
    depth = c.between(0.6, 1.6)
    c.targets.legs = {side: c.limb(side, [0.22, -depth, -1], [0.12, depth * 0.42, -1]) for side in SIDES}
    c.targets.arms = {side: c.limb(side, [0.2, -0.8, -0.6], [-0.02, -1, 0.1]) for side in SIDES}
    c.targets.lean = c.between(8, 24)


@family(limbs="arms")
def reach(c: PoseContext) -> None:
    rise = c.between(-0.5, 0.5)
    c.targets.arms[c.lead] = c.limb(c.lead, [0.25 + c.jitter(0.15), -1, rise], [0.1, -1, rise + 0.15])
    if c.rng.random() < 0.4:
        c.targets.arms[c.other] = c.limb(c.other, [0.3, -1, rise], [0.1, -1, rise + 0.1])


@family(limbs="arms")
def wave(c: PoseContext) -> None:
    c.targets.arms[c.lead] = c.limb(c.lead, [1, -0.2, 0.1 + c.jitter(0.15)], [0.3 + c.jitter(0.2), -0.25, 1])
    c.targets.curl = 8


@family(limbs="arms")
def point(c: PoseContext) -> None:
    c.targets.arms[c.lead] = c.limb(c.lead, [0.7 + c.jitter(0.3), -0.7, 0.05 + c.jitter(0.2)], [0.7, -0.75, 0.1])
    c.targets.curl = 20


@family(limbs="arms")
def phone(c: PoseContext) -> None:
    c.targets.arms[c.lead] = c.reach(c.lead, [0.13, -0.31, c.chest_z + 0.16 + c.jitter(0.04)], [0.6, 0.5, -1])
    c.targets.curl = 35


@family(held_out=True, limbs="arms")
def chin(c: PoseContext) -> None:
    c.targets.arms[c.lead] = c.reach(c.lead, [0.06, -0.235, c.head_z - 0.17], [0.5, -0.35, -1])
    c.targets.arms[c.other] = c.reach(c.other, [-0.06, -0.2, c.chest_z + 0.1], [0.8, 0.3, -0.8])


@family(limbs="arms")
def clasp(c: PoseContext) -> None:
    """One hand laid over the other before the belly."""
    height = c.pelvis_z + 0.08 + c.jitter(0.02)
    c.targets.arms[c.lead] = c.reach(c.lead, [0.105, -0.29, height + 0.03], [1, 0.7, 0])
    c.targets.arms[c.other] = c.reach(c.other, [0.105, -0.235, height - 0.03], [1, 0.7, 0])
    c.targets.curl = 30


@family(limbs="arms")
def behind(c: PoseContext) -> None:
    """One hand over the other behind the back."""
    c.targets.arms[c.lead] = c.reach(c.lead, [0.11, 0.26, c.pelvis_z + 0.08], [1, 0.35, 0])
    c.targets.arms[c.other] = c.reach(c.other, [0.11, 0.20, c.pelvis_z + 0.04], [1, 0.35, 0])


@family(limbs="arms")
def hands_on_head(c: PoseContext) -> None:
    c.targets.arms = {side: c.reach(side, [0.12, -0.02, c.head_z + 0.16], [1, -0.35, 0.15]) for side in SIDES}


@family(weight=2.0, limbs="legs")
def contrapposto(c: PoseContext) -> None:
    c.targets.side = float(c.rng.choice([-1, 1])) * 5
    c.targets.legs[c.lead] = c.limb(c.lead, [0.10, -0.18, -1], [0.08, 0.12, -1])
    if c.rng.random() < 0.5:
        c.hand_on_hip(c.lead)


@family(weight=2.0, limbs="legs")
def legs_crossed(c: PoseContext) -> None:
    """One ankle before the other, shins crossed, the foot in front flat or on its toes."""
    stride = c.between(0.17, 0.28) + 2 * c.push_m
    raised = c.between(0, 35) if c.rng.random() < 0.6 else 0.0
    ahead = [-c.between(0.05, 0.13), -0.55 * stride, raised * ON_TOES_M]
    c.stand_on({c.other: [c.between(0.02, 0.06), 0.45 * stride, 0], c.lead: ahead}, {c.lead: [0.15, -1, 0]})
    c.targets.heels[c.lead] = raised
    c.targets.side = c.jitter(4)


@family(limbs="legs")
def catwalk(c: PoseContext) -> None:
    """A walk with the feet on one line."""
    walk(c)
    before, behind, raised = c.between(0.12, 0.26) + c.push_m, c.between(0.15, 0.34) + c.push_m, c.between(10, 45)
    c.stand_on({c.lead: [c.jitter(0.03), -before, 0], c.other: [c.jitter(0.03), behind, raised * ON_TOES_M]}, {})
    c.targets.heels[c.other] = raised
    c.targets.side = c.jitter(4)


@family(limbs="legs")
def knee_in(c: PoseContext) -> None:
    """The weight on one leg, the other bent, its knee turned in or straight ahead, on its toes."""
    raised = c.between(10, 45)
    bent = [c.between(0.07, 0.2), c.between(-0.12, 0.12), 0.02 + raised * ON_TOES_M]
    c.stand_on({c.other: [c.between(0.05, 0.1), 0, 0], c.lead: bent}, {c.lead: [-c.between(0.0, 0.5), -1, 0]})
    c.targets.heels[c.lead] = raised
    c.targets.side = c.jitter(4)


@family(limbs="legs")
def feet_apart(c: PoseContext) -> None:
    apart = c.between(0.10, 0.32)
    c.targets.legs = {side: c.limb(side, [apart, c.jitter(0.04), -1], [apart, c.jitter(0.04), -1]) for side in SIDES}


@family(limbs="arms")
def shrug(c: PoseContext) -> None:
    c.targets.arms = {side: c.limb(side, [0.45, 0, -1], [0.75, -0.8, 0.15]) for side in SIDES}
    c.targets.curl = 5


@family(limbs="arms")
def thumb_in_pocket(c: PoseContext) -> None:
    for side in (c.lead,) if c.rng.random() < 0.5 else SIDES:
        c.targets.arms[side] = c.reach(side, [c.hip_x + 0.095, -0.085, c.pelvis_z - 0.045], [1, 0.8, 0])


@family(limbs="arms")
def call(c: PoseContext) -> None:
    """A telephone at the ear."""
    c.targets.arms[c.lead] = c.reach(c.lead, [0.135, -0.075, c.head_z - 0.02], [0.6, -0.35, -1])
    c.targets.curl = 40


@family(limbs="arms")
def cheer(c: PoseContext) -> None:
    """Both arms up."""
    out = c.between(0.25, 0.8)
    c.targets.arms = {side: c.limb(side, [out + c.jitter(0.1), -0.15, 1], [out * 0.6 + c.jitter(0.1), -0.2, 1]) for side in SIDES}
    c.targets.curl = c.between(5, 60)


def _hands_on_thighs(c: PoseContext) -> None:
    for side in SIDES:
        c.targets.arms[side] = c.reach(side, [c.hip_x + 0.05, -0.30 + c.jitter(0.03), c.hip_z + 0.13], [1, 0.6, -0.2])


@family(weight=2.0)
def sit(c: PoseContext) -> None:
    """On an unseen chair."""
    rise, apart = c.between(-0.35, 0.0), c.between(0.12, 0.35)
    for side in SIDES:
        c.targets.legs[side] = c.limb(side, [apart, -1, rise], [0.05 + c.jitter(0.04), c.between(-0.25, 0.2), -1])
    if c.rng.random() < 0.6:
        _hands_on_thighs(c)
    c.targets.lean = c.between(-8, 6)


@family(weight=0.7)
def sit_on_ground(c: PoseContext) -> None:
    """Knees up, hands beside or on them."""
    rise = c.between(0.45, 0.65)
    c.targets.legs = {side: c.limb(side, [0.22, -1, rise], [0.06, -0.8 + c.jitter(0.08), -1]) for side in SIDES}
    if c.rng.random() < 0.5:
        c.targets.arms = {side: c.reach(side, [c.hip_x + 0.07, -0.36, c.hip_z + 0.27], [1, 0.3, -0.6]) for side in SIDES}
    else:
        c.targets.arms = {side: c.limb(side, [0.35, 0.45, -1], [0.12, 0.25, -1]) for side in SIDES}
    c.targets.lean = c.between(-5, 8)


@family(weight=0.7, held_out=True)
def kneel(c: PoseContext) -> None:
    """On one knee."""
    c.targets.legs[c.lead] = c.limb(c.lead, [0.15, -1, -0.08], [0.04, 0.05, -1])
    c.targets.legs[c.other] = c.limb(c.other, [0.08, 0.03, -1], [0.04, 1, 0.06])
    if c.rng.random() < 0.5:
        c.targets.arms[c.lead] = c.reach(c.lead, [c.hip_x + 0.06, -0.30, c.hip_z + 0.14], [1, 0.5, 0])


@family()
def jump(c: PoseContext) -> None:
    """In the air: one knee drawn up more than the other."""
    tuck, trail = c.between(0.4, 1.1), c.between(0.1, 0.5)
    c.targets.legs[c.lead] = c.limb(c.lead, [0.15, -tuck, -1], [0.08, c.between(0.3, 0.9), -1])
    c.targets.legs[c.other] = c.limb(c.other, [0.18, -trail, -1], [0.08, c.between(0.5, 1.4), -1])
    rise = c.between(-0.5, 0.8)
    c.targets.arms = {side: c.limb(side, [0.8, -0.25 + c.jitter(0.2), rise], [0.6, -0.35, rise + 0.35 + c.jitter(0.2)]) for side in SIDES}
    c.targets.lean, c.targets.airborne = c.between(-6, 10), True


@family()
def high_step(c: PoseContext) -> None:
    """One foot up, as on a stair."""
    c.targets.legs[c.lead] = c.limb(c.lead, [0.1, -1, c.between(-0.6, -0.1)], [0.05, c.between(0.0, 0.4), -1])
    c.targets.arms[c.other] = c.limb(c.other, [0.22, -0.4, -1], [0.1, -0.9, -0.6], 50)
    c.targets.lean = c.between(0, 8)


@family(held_out=True)
def dance(c: PoseContext) -> None:
    """Wide legs, bent and stretched, arms at different heights."""
    c.targets.legs[c.lead] = c.limb(c.lead, [0.45, -0.35, -1], [-0.05, 0.3, -1])
    c.targets.legs[c.other] = c.limb(c.other, [0.35, 0.05, -1], [0.35, 0.1, -1])
    c.targets.arms[c.lead] = c.limb(c.lead, [0.8, -0.2, 0.7], [0.1, -0.3, 1])
    c.targets.arms[c.other] = c.limb(c.other, [0.8, -0.1, -0.4], [0.2, -0.8, 0.2 + c.jitter(0.3)])
    c.targets.side, c.targets.twist = c.jitter(8), c.jitter(12)
