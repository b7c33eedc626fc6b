"""Fabric patterns as functions of cloth coordinates, evaluated at vertices. Adding one is a function with the `pattern` decorator.

Vertices are 6 mm apart in the end: nothing narrower than about 12 mm survives.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.noise import fractal_noise, lattice_hash

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Cloth:
    """Where the pattern is evaluated: u around and v along the cloth, metres, (N,); points (N, 3) at rest; front (N,): the chest's or lap's side;
    base, accent (3,): its two colours; noise_seed."""

    u: Array
    v: Array
    points: Array
    front: Mask
    base: Array
    accent: Array
    noise_seed: int

    def plain(self) -> Array:
        """(N, 3) the base colour everywhere."""
        return np.tile(self.base, (len(self.u), 1))

    def mixed(self, share: NDArray[np.floating]) -> Array:
        """base and accent blended; share (N,) of the accent."""
        return self.base + (self.accent - self.base) * np.asarray(share, np.float64)[:, None]


Painter = Callable[[Cloth, np.random.Generator], Array]
PATTERNS: dict[str, Painter] = {}
HELD_OUT_PATTERNS = frozenset({"zigzag", "gingham"})  # only the `ood` split shows them


def pattern(paint: Painter) -> Painter:
    """Register a painter (cloth, rng) -> (N, 3) sRGB as the pattern of its name."""
    PATTERNS[paint.__name__] = paint
    return paint


def paint_fabric(name: str, cloth: Cloth, rng: np.random.Generator) -> Array:
    """(N, 3) sRGB 0..1 of a pattern with weave and dye variation. Raises NcpifuError for an unknown pattern."""
    if name not in PATTERNS:
        raise NcpifuError(f"unknown pattern {name!r}", f"patterns: {', '.join(sorted(PATTERNS))}")
    color = PATTERNS[name](cloth, rng)
    weave = fractal_noise(cloth.points * 220, 2, cloth.noise_seed + 5)
    dye = fractal_noise(cloth.points * 9, 3, cloth.noise_seed + 7)
    return np.clip(color * (1 + 0.05 * weave + 0.05 * dye)[:, None], 0, 1)


def _phase(x: Array, width: float) -> Array:
    return (x / width) % 1


@pattern
def plain(c: Cloth, rng: np.random.Generator) -> Array:
    return c.plain()


@pattern
def stripes(c: Cloth, rng: np.random.Generator) -> Array:
    return c.mixed(1.0 * (_phase(c.v, rng.uniform(0.035, 0.08)) < rng.uniform(0.3, 0.6)))


@pattern
def vertical_stripes(c: Cloth, rng: np.random.Generator) -> Array:
    return c.mixed(1.0 * (_phase(c.u, rng.uniform(0.03, 0.06)) < rng.uniform(0.3, 0.5)))


@pattern
def breton(c: Cloth, rng: np.random.Generator) -> Array:
    stripe = _phase(c.v, rng.uniform(0.03, 0.045)) < 0.45
    return np.where(stripe[:, None], c.base, [0.93, 0.92, 0.88])


@pattern
def plaid(c: Cloth, rng: np.random.Generator) -> Array:
    width = rng.uniform(0.05, 0.11)
    u, v = _phase(c.u, width), _phase(c.v, width)
    color = c.mixed(0.5 * (u < 0.45) + 0.5 * (v < 0.45))
    line = (np.abs(u - 0.72) < 0.04) | (np.abs(v - 0.72) < 0.04)
    return np.where(line[:, None], color * 0.4 + 0.6 * np.clip(c.accent * 1.5 + 0.1, 0, 1), color)


@pattern
def gingham(c: Cloth, rng: np.random.Generator) -> Array:
    width = rng.uniform(0.032, 0.05)
    share = 0.5 * (_phase(c.u, width) < 0.5) + 0.5 * (_phase(c.v, width) < 0.5)
    return 0.94 + (c.base - 0.94) * share[:, None]


@pattern
def dots(c: Cloth, rng: np.random.Generator) -> Array:
    width = rng.uniform(0.045, 0.08)
    v = c.v / width
    u = c.u / width + 0.5 * (np.floor(v) % 2)
    inside = np.hypot(u % 1 - 0.5, v % 1 - 0.5) < 0.28 * rng.uniform(0.7, 1)
    return c.mixed(1.0 * inside)


@pattern
def floral(c: Cloth, rng: np.random.Generator) -> Array:
    color = c.plain()
    petals = (c.accent, np.clip(c.accent * 0.6 + 0.35, 0, 1), np.clip(1 - c.accent * 0.6, 0, 1))
    for k, petal in enumerate(petals):
        width = rng.uniform(0.05, 0.09)
        u, v = c.u / width + k * 0.37, c.v / width + k * 0.61
        i, j = np.floor(u), np.floor(v)
        zero = np.zeros_like(i)
        x = u - i - 0.5 - 0.25 * lattice_hash(i, j, zero, c.noise_seed + k)
        y = v - j - 0.5 - 0.25 * lattice_hash(i, j, zero, c.noise_seed + k + 9)
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        color[radius < 0.16 + 0.09 * np.cos(5 * angle + 3 * lattice_hash(i, j, zero, c.noise_seed))] = petal
        color[radius < 0.05] = [0.95, 0.8, 0.3]
    return color


@pattern
def camo(c: Cloth, rng: np.random.Generator) -> Array:
    place = np.stack([c.u, c.v, np.zeros_like(c.u)], axis=1)
    large, small = fractal_noise(place * 14, 3, c.noise_seed), fractal_noise(place * 17 + 5, 3, c.noise_seed + 3)
    near = 0.55 * c.base + 0.45 * c.accent  # camouflage is of related colours
    color = np.where((large > 0.12)[:, None], near, c.plain())
    color[small > 0.2] = near * 0.45
    color[large < -0.25] = np.clip(c.base * 1.35, 0, 1)
    return color


@pattern
def tie_dye(c: Cloth, rng: np.random.Generator) -> Array:
    place = np.stack([c.u, c.v, np.zeros_like(c.u)], axis=1)
    rings = np.hypot(c.u, c.v - c.v.mean()) * 70 + 7 * fractal_noise(place * 9, 4, c.noise_seed)
    return c.mixed(0.5 + 0.5 * np.sin(rings))


@pattern
def block(c: Cloth, rng: np.random.Generator) -> Array:
    return c.mixed(1.0 * (c.v > np.quantile(c.v, rng.uniform(0.35, 0.75))))


@pattern
def heather(c: Cloth, rng: np.random.Generator) -> Array:
    fleck = 0.35 * (fractal_noise(c.points * 300, 2, c.noise_seed) * 0.5 + 0.5)
    return c.base * (1 - fleck[:, None]) + fleck[:, None] * np.array([0.9, 0.9, 0.92])


@pattern
def denim(c: Cloth, rng: np.random.Generator) -> Array:
    twill = fractal_noise(np.stack([c.u * 700, c.v * 160, np.zeros_like(c.u)], axis=1), 2, c.noise_seed) * 0.5 + 0.5
    return c.base * (0.86 + 0.26 * twill[:, None])


@pattern
def knit(c: Cloth, rng: np.random.Generator) -> Array:
    column = np.sin(2 * np.pi * c.u / 0.026)
    row = np.sin(2 * np.pi * c.v / 0.02 + np.pi * (np.floor(c.u / 0.026) % 2))
    return c.base * (0.86 + 0.14 * ((0.5 + 0.5 * column) * (0.5 + 0.5 * row))[:, None])


@pattern
def zigzag(c: Cloth, rng: np.random.Generator) -> Array:
    width = rng.uniform(0.04, 0.08)
    rise = np.abs(_phase(c.u, width) - 0.5) * width
    return c.mixed(1.0 * (((c.v + rise) / width * 1.5) % 1 < 0.4))


@pattern
def logo(c: Cloth, rng: np.random.Generator) -> Array:
    """A print on the chest: disc, letters, star or emblem."""
    size = rng.uniform(0.07, 0.12)
    x, y = c.u / size, (c.v - np.quantile(c.v, 0.66)) / size
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    shapes = (
        radius < 1,
        (np.abs(x) < 1) & (np.abs(y) < 0.35) & ((np.floor((x + 1) * 5) % 2 == 0) | (np.abs(y) > 0.28)),
        radius < 0.55 + 0.4 * np.cos(5 * angle) ** 2,
        (np.abs(radius - 0.8) < 0.12) | (np.abs(x) + np.abs(y) < 0.45),
    )
    return c.mixed(1.0 * (shapes[rng.integers(len(shapes))] & c.front))
