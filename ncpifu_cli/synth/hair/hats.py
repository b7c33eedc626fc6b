"""Beanies and baseball caps: shells over the head, with a brim."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.hair.scalp import Hairline, Scalp, ScalpPoints, ShellStyle, grow_shell
from ncpifu_cli.synth.noise import fractal_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.skeleton import rigid
from ncpifu_cli.synth.sweep import sweep
from ncpifu_cli.synth.topology import facing_outwards

Array = NDArray[np.float64]

CLOTH_SHELL = ShellStyle(relief_m=0.0, frayed=0.0, is_hair=False)
HOOD = ShellStyle(relief_m=0.0, frayed=0.0, is_hair=False, over_ears=True)


def make_beanie(scalp: Scalp, color: Array) -> list[Part]:
    """A knitted hat with a turned-up rim."""

    def thickness(p: ScalpPoints) -> Array:
        rim = 0.004 * (p.points[:, 2] < scalp.head.eyes[2] + 0.085)
        ribs = 0.0008 * np.cos(p.azimuth * 60)
        return 0.017 + 0.02 * np.clip(p.elevation - 0.7, 0, 1) + rim + ribs

    shell = grow_shell(scalp, Hairline(0.05, 0.02, -0.03), thickness, color, CLOTH_SHELL, 0, "hat")
    return [shell]


def make_cap(scalp: Scalp, color: Array) -> list[Part]:
    """A baseball cap."""
    shell = grow_shell(scalp, Hairline(0.072, 0.045, 0.01), lambda p: np.full(len(p.points), 0.019), color, CLOTH_SHELL, 0, "hat")
    return [shell, _brim(scalp, color * 0.92)]


def make_hood(scalp: Scalp, color: Array) -> list[Part]:
    """A hood over head and ears, standing off at the back."""

    def thickness(p: ScalpPoints) -> Array:
        folds = 0.006 * fractal_noise(p.points * [14, 14, 30], 3, 4)
        return 0.028 + 0.022 * np.clip(np.abs(p.azimuth) - 1.2, 0, 1.2) + folds

    return [grow_shell(scalp, Hairline(0.08, -0.09, -0.15), thickness, color, HOOD, 0, "hat")]


def make_sun_hat(scalp: Scalp, color: Array, width_m: float) -> list[Part]:
    """A crown and a brim all round."""
    head = scalp.head
    crown = grow_shell(scalp, Hairline(0.075, 0.06, 0.04), lambda p: np.full(len(p.points), 0.02), color, CLOTH_SHELL, 0, "hat")
    angle = np.arange(72) / 72 * 2 * np.pi
    outwards = np.stack([np.cos(angle), np.sin(angle), np.zeros(72)], axis=1)
    ring = head.centre + outwards * [0.085 * head.scale, 0.105 * head.scale, 0] + [0, 0, head.eyes[2] + 0.07 * head.scale - head.centre[2]]
    profile = np.array([[-0.012, 0.0], [-0.012, 0.004], [0.5 * width_m, 0.0], [width_m, -0.012], [width_m, -0.016], [0.5 * width_m, -0.004]])
    vertices, faces = sweep(ring, outwards, np.array([0.0, 0, 1]), profile, closed=True)
    return [crown, Part("hat", rigid(vertices, scalp.head_transform), faces, np.tile(np.clip(color * 0.95, 0, 1), (len(vertices), 1)))]


def _brim(scalp: Scalp, color: Array) -> Part:
    """A curved sheet 4 mm thick over the forehead."""
    head = scalp.head
    across, along = 40, 14
    angle, reach = np.meshgrid(np.linspace(-1.0, 1.0, across), np.linspace(0, 1, along))
    x = np.sin(angle) * (0.078 * head.scale + 0.012)
    y = head.centre[1] - np.cos(angle) * (0.10 * head.scale + 0.004 + 0.075 * reach * np.cos(angle) ** 0.7)
    z = head.eyes[2] + 0.082 * head.scale - 0.02 * reach - 0.016 * angle**2
    top = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    count = len(top)
    i, j = np.meshgrid(np.arange(along - 1), np.arange(across - 1), indexing="ij")
    corner = (i * across + j).ravel()
    upper = np.concatenate([np.stack([corner, corner + across + 1, corner + across], axis=1), np.stack([corner, corner + 1, corner + across + 1], axis=1)])
    last = (along - 1) * across
    right, left = np.arange(1, along) * across + across - 1, np.arange(along - 2, 0, -1) * across
    rim = np.concatenate([np.arange(across), right, last + np.arange(across - 2, -1, -1), left])
    following = np.roll(rim, -1)
    side = np.concatenate([np.stack([rim, rim + count, following + count], axis=1), np.stack([rim, following + count, following], axis=1)])
    faces = np.concatenate([upper, upper[:, ::-1] + count, side])
    vertices = np.concatenate([top, top - [0, 0, 0.004]])
    faces = facing_outwards(vertices, faces)
    return Part("hat", rigid(vertices, scalp.head_transform), faces, np.tile(np.clip(color, 0, 1), (2 * count, 1)))
