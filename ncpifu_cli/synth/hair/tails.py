"""Tied hair: buns and ponytails, placed behind the head."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.hair.scalp import Scalp
from ncpifu_cli.synth.noise import fractal_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.skeleton import rigid
from ncpifu_cli.synth.topology import facing_outwards

Array = NDArray[np.float64]

RINGS, SIDES = 30, 28


def _knot(scalp: Scalp, rng: np.random.Generator, low: bool = False) -> Array:
    """Where the hair is tied, (3,) at rest; low: at the nape, under a hat."""
    back, height = (0.085, rng.uniform(-0.06, -0.045)) if low else (0.105, rng.uniform(0.0, 0.07))
    return scalp.head.centre + np.array([0, back, height]) * scalp.head.scale


def make_bun(scalp: Scalp, color: Array, rng: np.random.Generator, seed: int) -> Part:
    """A wound-up knot."""
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=4)
    d = np.asarray(sphere.vertices, np.float64)
    wound = fractal_noise(np.stack([np.arctan2(d[:, 0], d[:, 2]) * 3, d[:, 1] * 3, np.zeros(len(d))], axis=1), 3, seed)
    vertices = _knot(scalp, rng) + d * [0.036, 0.03, 0.036] * (1 + 0.10 * wound[:, None])
    return Part("hair", rigid(vertices, scalp.head_transform), np.asarray(sphere.faces, np.int64), np.clip(color * (1 + 0.4 * wound[:, None]), 0, 1))


def make_ponytail(scalp: Scalp, color: Array, surface: SurfaceQuery, rng: np.random.Generator, seed: int, low: bool = False) -> Part:
    """A tail hanging from the knot, outside body and clothes."""
    length = rng.uniform(0.18, 0.34)
    t = np.linspace(0, 1, RINGS)
    back = 0.05 * np.sin(np.minimum(t * 3, np.pi / 2)) - 0.01 * t
    path = _knot(scalp, rng, low) + np.stack([np.zeros(RINGS), back, -length * t**1.25 + 0.015 * np.sin(t * 3)], axis=1)
    width = 0.024 * np.sin(np.pi * np.clip(t * 0.85 + 0.12, 0, 1)) ** 0.6
    angle = np.arange(SIDES) / SIDES * 2 * np.pi
    place = np.stack([np.tile(np.cos(angle) * 5, RINGS), np.tile(np.sin(angle) * 5, RINGS), np.repeat(t, SIDES) * 3], axis=1)
    strands = fractal_noise(place, 3, seed).reshape(RINGS, SIDES)
    radius = width[:, None] * (1 + 0.25 * strands)
    ring = np.stack([np.cos(angle) * radius, 0.8 * np.sin(angle) * radius, np.zeros_like(radius)], axis=-1)
    vertices = rigid((path[:, None] + ring).reshape(-1, 3), scalp.head_transform)
    i = np.arange(RINGS - 1)[:, None] * SIDES
    j = np.arange(SIDES)[None]
    k = (j + 1) % SIDES
    sides = [np.stack([i + j, i + SIDES + k, i + k], axis=-1).reshape(-1, 3), np.stack([i + j, i + SIDES + j, i + SIDES + k], axis=-1).reshape(-1, 3)]
    fan = np.arange(1, SIDES - 1)
    last = (RINGS - 1) * SIDES
    caps = [np.stack([np.zeros_like(fan), fan, fan + 1], axis=1), np.stack([np.full_like(fan, last), last + fan + 1, last + fan], axis=1)]
    shade = np.clip(color * (1 + 0.45 * strands.reshape(-1, 1)), 0, 1)
    faces = facing_outwards(vertices, np.concatenate(sides + caps))
    return Part("hair", surface.push_out(vertices, 0.006), faces, shade)
