"""Hair styles: what grows where. Adding one is a function with the `style` decorator."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.hair.hats import make_beanie, make_cap, make_sun_hat
from ncpifu_cli.synth.hair.scalp import Hairline, Scalp, ScalpPoints, ShellStyle, Thickness, grow_shell
from ncpifu_cli.synth.hair.strands import StrandStyle, grow_strands
from ncpifu_cli.synth.hair.tails import make_bun, make_ponytail
from ncpifu_cli.synth.hair.volume import VolumeStyle, fuse
from ncpifu_cli.synth.looks.palette import draw_color
from ncpifu_cli.synth.noise import fractal_noise, smoothstep
from ncpifu_cli.synth.parts import Part

Array = NDArray[np.float64]


class Barber:
    """One head to be done: scalp, hairline, colour, the surface hair falls on, chance."""

    def __init__(self, scalp: Scalp, color: Array, surface: SurfaceQuery, rng: np.random.Generator, seed: int) -> None:
        self.scalp, self.color, self.surface, self.rng, self.seed = scalp, color, surface, rng, seed
        self.line = Hairline(rng.uniform(0.06, 0.075), rng.uniform(-0.02, 0.005), rng.uniform(-0.1, -0.075))

    def between(self, low: float, high: float) -> float:
        """A uniform draw."""
        return float(self.rng.uniform(low, high))

    def shell(self, thickness: Thickness, relief_m: float = 0.003, fineness: float = 1.0) -> Part:
        """Short hair: a shell `thickness` metres high."""
        return grow_shell(self.scalp, self.line, thickness, self.color, ShellStyle(relief_m, fineness), self.seed)

    def bumps(self, p: ScalpPoints, per_metre: float) -> Array:
        """(N,) low-frequency noise in -1..1."""
        return fractal_noise(p.points * per_metre, 3, self.seed + 11)

    def fused(self, cap_m: float, strands: StrandStyle, volume: VolumeStyle | None = None) -> list[Part]:
        """A thin shell and strands as one volume."""
        cap = self.shell(lambda p: np.full(len(p.points), cap_m))
        grown = grow_strands(self.scalp, self.line, strands, self.surface, self.rng)
        return [fuse(cap, grown, self.color, volume or VolumeStyle(), self.rng)]


@dataclass(frozen=True)
class Style:
    """A hair style: how often men and women wear it; held_out: only the `ood` split shows it."""

    name: str
    cut: Callable[[Barber], list[Part]]
    men: float
    women: float
    held_out: bool


STYLES: dict[str, Style] = {}


def style(men: float, women: float, held_out: bool = False) -> Callable[[Callable[[Barber], list[Part]]], Callable[[Barber], list[Part]]]:
    """Register a function as the style of its name."""

    def register(cut: Callable[[Barber], list[Part]]) -> Callable[[Barber], list[Part]]:
        STYLES[cut.__name__] = Style(cut.__name__, cut, men, women, held_out)
        return cut

    return register


def choose_style(rng: np.random.Generator, is_female: bool, held_out: bool) -> str:
    """Draw a style by weight; `held_out` chooses among those that only the `ood` split shows."""
    choices = [s for s in STYLES.values() if s.held_out == held_out]
    weights = np.array([s.women if is_female else s.men for s in choices])
    return choices[rng.choice(len(choices), p=weights / weights.sum())].name


def make_hair(name: str, scalp: Scalp, color: Array, surface: SurfaceQuery, rng: np.random.Generator, seed: int) -> list[Part]:
    """The hair (and hat) of one person, posed. Raises NcpifuError for an unknown style, naming those that exist."""
    if name not in STYLES:
        raise NcpifuError(f"unknown hair style {name!r}", f"styles: {', '.join(STYLES)}")
    return STYLES[name].cut(Barber(scalp, color, surface, rng, seed))


@style(men=0.5, women=0.05)
def bald(b: Barber) -> list[Part]:
    return []


@style(men=1.2, women=0.1)
def buzz(b: Barber) -> list[Part]:
    return [b.shell(lambda p: np.full(len(p.points), 0.003), 0.0008, 3)]


@style(men=2.4, women=0.5)
def short(b: Barber) -> list[Part]:
    top, sides = b.between(0.012, 0.026), b.between(0.005, 0.010)

    def thickness(p: ScalpPoints) -> Array:
        return (sides + top * smoothstep(0.1, 1.0, p.elevation)) * (1 + 0.3 * b.bumps(p, 38))

    return [b.shell(thickness, 0.0035, 1.4)]


@style(men=1.8, women=0.4)
def side_part(b: Barber) -> list[Part]:
    part_x = float(b.rng.choice([-1, 1])) * 0.035
    top, sides = b.between(0.016, 0.030), b.between(0.006, 0.010)

    def thickness(p: ScalpPoints) -> Array:
        from_part = (part_x - p.points[:, 0]) * np.sign(part_x)  # positive on the combed-over side
        ridge = smoothstep(-0.03, 0.0, from_part) * (0.45 + 0.55 * smoothstep(0.0, 0.025, from_part))
        front = 0.7 + 0.5 * smoothstep(1.2, 0.2, np.abs(p.azimuth))
        return (sides + top * smoothstep(0.2, 0.9, p.elevation) * np.maximum(ridge, 0.35) * front) * (1 + 0.2 * b.bumps(p, 30))

    return [b.shell(thickness, 0.003, 1.3)]


@style(men=1.2, women=0.1, held_out=True)
def quiff(b: Barber) -> list[Part]:
    top = b.between(0.022, 0.038)

    def thickness(p: ScalpPoints) -> Array:
        front = 0.4 + 0.7 * smoothstep(1.4, 0.3, np.abs(p.azimuth))
        return (0.005 + top * smoothstep(0.35, 0.95, p.elevation) * front) * (1 + 0.25 * b.bumps(p, 35))

    return [b.shell(thickness, 0.004, 1.2)]


@style(men=0.6, women=0.6)
def afro(b: Barber) -> list[Part]:
    size = b.between(0.03, 0.07)

    def thickness(p: ScalpPoints) -> Array:
        return size * (0.55 + 0.6 * np.clip(p.elevation + 0.3, 0, 1)) * (1 + 0.18 * b.bumps(p, 55))

    return [b.shell(thickness, 0.004, 2)]


@style(men=0.7, women=0.3)
def curly_short(b: Barber) -> list[Part]:
    size = b.between(0.014, 0.026)

    def thickness(p: ScalpPoints) -> Array:
        return size * (0.6 + 0.6 * smoothstep(0.0, 0.9, p.elevation)) * (1 + 0.35 * b.bumps(p, 75))

    return [b.shell(thickness, 0.004, 2.5)]


@style(men=0.2, women=0.9)
def curly_long(b: Barber) -> list[Part]:
    return b.fused(0.016, StrandStyle(2200, b.between(0.16, 0.28), 0.1, 0.005, 0.6, 16, 0.03), VolumeStyle(1.7, 0.2, 0.002))


@style(men=0.15, women=0.2)
def dreads(b: Barber) -> list[Part]:
    return b.fused(0.012, StrandStyle(800, b.between(0.12, 0.32), 0.06, 0.002, 0.7, 18, 0.04), VolumeStyle(1.1, 0.2, 0.0005, 1.6))


@style(men=0.2, women=1.4)
def bob(b: Barber) -> list[Part]:
    return b.fused(0.010, StrandStyle(2200, b.between(0.19, 0.25), part_x=float(b.rng.choice([-0.02, 0, 0.02])), droop=0.7))


@style(men=0.1, women=2.0)
def long(b: Barber) -> list[Part]:
    return b.fused(0.010, StrandStyle(2200, b.between(0.33, 0.52), part_x=float(b.rng.choice([-0.02, 0, 0.02])), droop=0.8, segments=18))


@style(men=0.1, women=1.3)
def long_wavy(b: Barber) -> list[Part]:
    strands = StrandStyle(1900, b.between(0.3, 0.48), 0.08, 0.003, 0.7, 20, 0.03, float(b.rng.choice([-0.03, 0, 0.03])))
    return b.fused(0.012, strands, VolumeStyle(2.4, 0.2, 0.001, 1.3))


def _pulled_back(b: Barber) -> Part:
    return b.shell(lambda p: 0.007 * (1 + 0.15 * b.bumps(p, 25)), 0.002, 1.6)


@style(men=0.15, women=1.4)
def ponytail(b: Barber) -> list[Part]:
    return [_pulled_back(b), make_ponytail(b.scalp, b.color, b.surface, b.rng, b.seed)]


@style(men=0.1, women=1.0, held_out=True)
def bun(b: Barber) -> list[Part]:
    return [_pulled_back(b), make_bun(b.scalp, b.color, b.rng, b.seed)]


def _fringe(b: Barber) -> list[Part]:
    """The hair that shows under a hat: short, or tied behind."""
    parts = [b.shell(lambda p: 0.006 * smoothstep(0.05, 0.0, p.height) + 0.002, 0.0015, 1.6)]
    if b.scalp.shape.phenotype.is_female and b.rng.random() < 0.6:
        parts.append(make_ponytail(b.scalp, b.color, b.surface, b.rng, b.seed, low=True))
    return parts


@style(men=0.45, women=0.4)
def beanie(b: Barber) -> list[Part]:
    return [*_fringe(b), *make_beanie(b.scalp, draw_color(b.rng))]


@style(men=0.5, women=0.3)
def baseball_cap(b: Barber) -> list[Part]:
    return [*_fringe(b), *make_cap(b.scalp, draw_color(b.rng))]


@style(men=0.15, women=0.3)
def sun_hat(b: Barber) -> list[Part]:
    return [*_fringe(b), *make_sun_hat(b.scalp, draw_color(b.rng), b.between(0.05, 0.1))]
