"""A telephone in the hand, bags with their straps."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.looks.palette import CLOTHES, LEATHER, draw_color
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.poses.limbs import back_of_hand
from ncpifu_cli.synth.props.wearer import Wearer, prop
from ncpifu_cli.synth.rotations import unit
from ncpifu_cli.synth.skeleton import SIDES, rigid
from ncpifu_cli.synth.sweep import band, outline, sweep

Array = NDArray[np.float64]


@prop()
def telephone(w: Wearer) -> list[Part]:
    """In the hand that is held higher."""
    skeleton, transforms = w.scalp.shape.skeleton, w.scalp.transforms
    height = {side: rigid(skeleton.head(f"wrist.{side}")[None], transforms[skeleton.index[f"wrist.{side}"]])[0, 2] for side in SIDES}
    side = max(SIDES, key=lambda s: height[s])
    knuckle = skeleton.head(f"finger3-1.{side}")
    along, out = unit(knuckle - skeleton.head(f"wrist.{side}")), back_of_hand(skeleton, side)
    vertices, faces = _cushion(np.array([0.036, 0.0045, 0.074]), 12)
    axes = np.stack([np.cross(out, along), out, along])
    held = knuckle + 0.015 * along - 0.026 * out + vertices @ axes
    screen = vertices[:, 1] < -0.003
    color = np.where(screen[:, None], [0.08, 0.09, 0.11], CLOTHES[w.rng.integers(len(CLOTHES))])
    return [Part("prop", rigid(held, transforms[skeleton.index[f"wrist.{side}"]]), faces, color)]


def _cushion(half_m: Array, squareness: float) -> tuple[Array, NDArray[np.int64]]:
    """A box with rounded edges around the origin."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4)
    d = np.asarray(ball.vertices, np.float64)
    reach = (np.abs(d) ** squareness).sum(axis=1) ** (-1 / squareness)
    return d * reach[:, None] * half_m, np.asarray(ball.faces, np.int64)


@prop()
def bag(w: Wearer) -> list[Part]:
    """A flat bag before the hip, its strap over the other shoulder; on the side where no hand is, nowhere where both are or a thigh is raised."""
    marks = w.marks
    if max(w.from_bone(f"lowerleg01.{side}")[2] for side in SIDES) > marks.hip_z - 0.25:
        return []
    half = np.array([w.rng.uniform(0.1, 0.14), w.rng.uniform(0.025, 0.04), w.rng.uniform(0.07, 0.11)])
    color = LEATHER[w.rng.integers(len(LEATHER))] if w.rng.random() < 0.6 else draw_color(w.rng)
    for sign in (1, -1) if w.rng.random() < 0.5 else (-1, 1):
        place = np.array([sign * 0.075, 0.0, marks.hip_z + 0.05])
        behind = (np.abs(w.trunk[:, [0, 2]] - place[[0, 2]]) < half[[0, 2]]).all(axis=1)
        if not behind.any():
            continue
        place[1] = np.quantile(w.trunk[behind, 1], 0.1) - half[1] + 0.006  # it presses into the clothes a little
        if min(float(np.linalg.norm(w.from_bone(f"finger3-1.{side}") - place)) for side in SIDES) < 0.17:
            continue
        corners = place + half * [[-0.8, 0, 0.9], [0.8, 0, 0.9]]  # where the strap is fixed
        shoulder = np.array([-sign * 0.10, 0.0, marks.shoulder_z])
        plane = unit(np.cross(place + np.array([0, 0, half[2]]) - shoulder, [0.0, 1.0, 0.0]))
        strap = outline(np.concatenate([w.trunk, np.repeat(corners, 4, axis=0)]), shoulder, plane, 0.003)
        vertices, faces = _cushion(half, 5)
        parts = [w.on_chest(vertices + place, faces, color)]
        if strap is not None:
            parts.append(w.on_chest(*sweep(*strap, plane, band(0.004, 0.03), closed=True), color * 0.9))
        return parts
    return []


@prop(held_out=True)
def backpack(w: Wearer) -> list[Part]:
    """A pack on the back with two shoulder straps."""
    marks = w.marks
    half = np.array([w.rng.uniform(0.13, 0.16), w.rng.uniform(0.06, 0.09), w.rng.uniform(0.18, 0.22)])
    middle_z = marks.shoulder_z - half[2] + 0.02
    behind = (np.abs(w.trunk[:, 0]) < half[0]) & (np.abs(w.trunk[:, 2] - middle_z) < half[2])
    if not behind.any():
        return []
    color = draw_color(w.rng)
    vertices, faces = _cushion(half, 5)
    place = np.array([0, np.quantile(w.trunk[behind, 1], 0.98) + half[1] * 0.9, middle_z])
    parts = [w.on_chest(vertices + place, faces, color)]
    above_waist = w.trunk[w.trunk[:, 2] > marks.waist_z + 0.04]
    for x in (-0.095, 0.095):
        strap = outline(above_waist, np.array([x, 0, marks.shoulder_z - 0.1]), np.array([1.0, 0, 0]), 0.004)
        if strap is not None:
            parts.append(w.on_chest(*sweep(*strap, np.array([1.0, 0, 0]), band(0.008, 0.055), closed=True), color * 0.85))
    return parts
