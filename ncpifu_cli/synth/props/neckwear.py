"""Tie, scarf, and the hood of a hoodie put up."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.hair.hats import make_hood
from ncpifu_cli.synth.looks.palette import draw_color
from ncpifu_cli.synth.noise import fractal_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.props.wearer import Wearer, prop
from ncpifu_cli.synth.rotations import unit
from ncpifu_cli.synth.sweep import band, ellipse, outline, sweep

Array = NDArray[np.float64]


def _hanging(w: Wearer, points: Array, x: float, top_z: float, bottom_z: float, gap_m: float) -> Array:
    """(40, 3) a line down the front of `points` at `x`, `gap_m` before them."""
    z = np.linspace(top_z, bottom_z, 40)
    strip = points[(np.abs(points[:, 0] - x) < 0.03) & (points[:, 1] < w.marks.neck[1])]
    order = np.argsort(strip[:, 2])
    front = np.array([strip[order][slice(*np.searchsorted(strip[order, 2], [h - 0.02, h + 0.02])), 1].min(initial=np.inf) for h in z])
    seen = np.isfinite(front)
    y = np.interp(-z, -z[seen], front[seen]) if seen.any() else np.full(40, w.marks.neck[1] - 0.1)
    y = np.convolve(np.pad(y, 4, mode="edge"), np.full(9, 1 / 9), mode="valid")
    return np.stack([np.full(40, x), y - gap_m, z], axis=1)


def _strip(path: Array, width: Array, thickness_m: float) -> tuple[Array, NDArray[np.int64]]:
    """A flat band hanging along `path` (S, 3), `width` (S,) metres."""
    profile = np.stack([band(thickness_m, w) for w in width])
    return sweep(path, np.tile([0.0, -1.0, 0.0], (len(path), 1)), np.array([1.0, 0, 0]), profile, closed=False)


@prop()
def tie(w: Wearer) -> list[Part]:
    """A knot and a blade, on the shirt and under the jacket."""
    color, t = draw_color(w.rng), np.linspace(0, 1, 40)
    top = w.marks.neck[2] - 0.005
    width = np.where(t < 0.08, 0.036, 0.03 + 0.045 * np.clip((t - 0.1) / 0.8, 0, 1)) * np.clip((1.0 - t) / 0.05, 0.05, 1)
    bottom = w.marks.waist_z + 0.02
    path, outer = _hanging(w, w.under, 0.0, top, bottom, 0.003), _hanging(w, w.trunk, 0.0, top, bottom, 0.0)
    path[:, 1] = np.where(outer[:, 1] < path[:, 1] - 0.002, outer[:, 1] + 0.007, path[:, 1])  # under a buttoned jacket
    blade, faces = _strip(path, width, 0.005)
    stripes = np.where((blade[:, 2] + 0.7 * blade[:, 0]) % 0.05 < 0.015, 0.6, 1.0) if w.rng.random() < 0.5 else np.ones(len(blade))
    return [w.on_chest(blade, faces, color * stripes[:, None])]


@prop()
def scarf(w: Wearer) -> list[Part]:
    """Once around the neck, one end hanging before the chest."""
    neck = w.marks.neck + np.array([0, -0.015, 0.02])
    up = unit(np.array([0, -0.3, 1.0]))
    around = outline(w.trunk, neck, up, 0.012, near_m=0.03)
    if around is None:
        return []
    color = draw_color(w.rng)
    roll, faces = sweep(*around, up, ellipse(0.045, 0.075, 16), closed=True)
    folds = fractal_noise(roll * [18, 18, 60], 3, 7)[:, None]
    roll = roll + (roll - neck) * 0.07 * folds
    parts = [w.on_chest(roll, faces, color * (1 + 0.12 * folds))]
    side = float(w.rng.choice([-1, 1])) * w.rng.uniform(0.04, 0.08)
    path = _hanging(w, w.trunk, side, neck[2] - 0.02, w.marks.waist_z + w.rng.uniform(0.0, 0.15), 0.004)
    parts.append(w.on_chest(*_strip(path, np.full(40, w.rng.uniform(0.09, 0.15)), 0.014), color))
    return parts


@prop()
def hood(w: Wearer) -> list[Part]:
    """The hoodie's hood, up."""
    return make_hood(w.scalp, w.hood_color)
