"""What stands on a neckline: closed profiles swept along it (shirt and lapel collars, hoods, roll necks)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.noise import fractal_noise, smoothstep
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.rotations import unit, unit_rows
from ncpifu_cli.synth.sweep import resample, sweep
from ncpifu_cli.synth.topology import boundary_loops, longest_run

Array = NDArray[np.float64]
Index = NDArray[np.int64]

SAMPLES = 120
SWEPT = ("shirt", "lapel", "hood", "roll")  # collars that are extra geometry; "band" is painted by `finish`


@dataclass(frozen=True)
class Neckline:
    """SAMPLES points around the neck: posed (S, 3), outwards (S, 3) unit, side (S): 0 in front .. pi behind, rest_x (S), closed, up (3,)."""

    posed: Array
    outwards: Array
    side: Array
    rest_x: Array
    closed: bool
    up: Array


def find_neckline(quads: Index, rest: Array, posed: Array, neck: Array, up: Array, is_open: bool) -> Neckline | None:
    """The boundary around `neck` (3,), resampled evenly; None when there is none to speak of."""
    chain, closed = _neck_chain(quads, rest, neck, is_open)
    if len(chain) < 30:
        return None
    line, rest_line = resample(posed[chain], SAMPLES, closed), resample(rest[chain], SAMPLES, closed)
    for _ in range(12):
        middle = (np.roll(line, 1, axis=0) + np.roll(line, -1, axis=0)) / 2
        if not closed:
            middle[0], middle[-1] = line[0], line[-1]
        line = (line + middle) / 2
    offset = line - line.mean(axis=0)
    side = np.abs(np.arctan2(rest_line[:, 0], -(rest_line[:, 1] - rest_line[:, 1].mean())))
    return Neckline(line, unit_rows(offset - np.outer(offset @ up, up)), side, rest_line[:, 0], closed, unit(up))


def _neck_chain(quads: Index, rest: Array, neck: Array, is_open: bool) -> tuple[Index, bool]:
    best: tuple[float, Index] = (np.inf, np.zeros(0, np.int64))
    for loop in boundary_loops(quads):
        distance = np.linalg.norm((rest[loop] - neck) * [1, 1, 0.5], axis=1)
        if distance.min() >= 0.16:
            continue
        if is_open:  # one loop runs round the whole front: keep its run along the neck
            near = (distance < 0.15) & (rest[loop, 2] > neck[2] - 0.03)
            if near.any() and not near.all():
                return loop[longest_run(near)], False
        if distance.mean() < best[0]:
            best = (float(distance.mean()), loop)
    return best[1], True


def make_collar(kind: str, line: Neckline, color: Array, size: float, rng: np.random.Generator, noise_seed: int) -> Part:
    """A collar of one of `SWEPT`; `color` (3,), `size` 1 for a shirt's."""
    keep, closed = np.arange(SAMPLES), line.closed
    if kind == "hood":
        profile = _hood_profile(line, noise_seed)
    elif kind == "roll":
        profile = _roll_profile(rng)
    else:
        profile, closed = _folded_profile(line, size), False
        if line.closed:  # a buttoned collar opens in front: start and end the sweep there
            keep = np.roll(keep, -int(line.side.argmin()) - 1)[:-1]
    profile = np.broadcast_to(profile, (SAMPLES, *profile.shape[-2:]))[keep]
    vertices, triangles = sweep(line.posed[keep], line.outwards[keep], line.up, profile, closed)
    weave = 1 + 0.05 * fractal_noise(vertices * 200, 2, noise_seed)
    return Part("collar", vertices, triangles, np.clip(color * weave[:, None], 0, 1))


def _folded_profile(line: Neckline, size: float) -> Array:
    """(S, 10, 2) stand and fall of a collar, longer towards the points in front: (outwards, up) in metres."""
    front = smoothstep(0.9, 0.15, line.side)
    stand = 0.011 * size
    fall = (0.030 + 0.024 * front) * size
    profile = np.zeros((SAMPLES, 10, 2))
    fixed = {0: (-0.001, -0.006), 1: (0, 0.005), 2: (0.001, stand), 3: (0.006, stand + 0.004), 4: (0.011, stand - 0.002)}
    fixed |= {7: (0.0075, stand - 0.006), 8: (0.003, stand - 0.004), 9: (0.003, -0.006)}
    for k, point in fixed.items():
        profile[:, k] = point
    profile[:, 5] = np.stack([0.024 + 0.020 * front, stand - fall], axis=1)
    profile[:, 6] = np.stack([0.020 + 0.020 * front, stand - fall], axis=1)
    return profile


def _hood_profile(line: Neckline, seed: int) -> Array:
    """(S, 16, 2) a hood laid down: a roll, thick behind."""
    behind = smoothstep(1.2, 2.6, line.side)[:, None]
    angle = np.arange(16) / 16 * 2 * np.pi
    place = np.stack([np.repeat(line.rest_x, 16) * 22, np.tile(np.cos(angle) * 1.5, SAMPLES), np.tile(np.sin(angle) * 1.5, SAMPLES)], axis=1)
    bulge = 1 + 0.25 * fractal_noise(place, 3, seed).reshape(SAMPLES, 16)
    out = 0.010 + 0.035 * behind + (0.010 + 0.028 * behind) * np.cos(angle) * bulge
    up = 0.008 + 0.004 * behind + (0.012 + 0.022 * behind) * np.sin(angle) * bulge - 0.02 * behind * (np.cos(angle) > 0)
    return np.stack([out, up], axis=-1)


def _roll_profile(rng: np.random.Generator) -> Array:
    """(12, 2) crew to turtle neck."""
    angle = np.arange(12) / 12 * 2 * np.pi
    height = rng.choice([rng.uniform(0.006, 0.010), rng.uniform(0.012, 0.035)])
    return np.stack([0.006 * np.cos(angle), height * 0.6 + height * np.sin(angle)], axis=-1)
