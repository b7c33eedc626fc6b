"""A pose put together from others: more poses than anybody writes down, for learning from; never drawn, only wished for."""

from ncpifu_cli.synth.poses.families import FAMILIES, Family, Limbs, PoseContext, draw_family, family
from ncpifu_cli.synth.rotations import unit
from ncpifu_cli.synth.skeleton import SIDES

ARMS_OFF, LEGS_OFF = 0.15, 0.06  # how far directions, unit vectors, are from their families'; feet stay near the ground
LEAN_DEG, SIDE_DEG, TWIST_DEG = 6, 5, 9


@family(weight=0)
def medley(c: PoseContext) -> None:
    """Every limb as some family of the training ones has it, and a little otherwise."""
    _one_about(c, "legs", "all").aim(c)
    for side in SIDES:
        others = PoseContext(c.skeleton, c.rng, c.push_m)
        _one_about(c, "arms").aim(others)
        wrist = f"wrist.{side}"
        c.targets.arms[side] = others.targets.arms[side]
        c.targets.joints.pop(wrist, None)
        if wrist in others.targets.joints:
            c.targets.joints[wrist] = others.targets.joints[wrist]
        for limbs, off in ((c.targets.arms, ARMS_OFF), (c.targets.legs, LEGS_OFF)):
            upper, lower = (unit(direction) + c.rng.normal(0, off, 3) for direction in limbs[side][:2])
            limbs[side] = limbs[side]._replace(upper=upper, lower=lower)
    c.targets.lean += c.jitter(LEAN_DEG)
    c.targets.side += c.jitter(SIDE_DEG)
    c.targets.twist += c.jitter(TWIST_DEG)


def _one_about(c: PoseContext, *limbs: Limbs) -> Family:
    return draw_family(c.rng, [known for known in FAMILIES.values() if known.limbs in limbs and not known.held_out])
