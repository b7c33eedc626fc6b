"""Prints, badges and two-coloured clothes painted onto a rendered person: a change of colour that is no change of depth.

Rendered clothes are mostly of one colour each, so a network that learns from them alone takes a light patch on a dark chest for a hand before it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.backdrops import Backdrops, Rng, colour, fractal_grey, paste, thing, word

Floats = NDArray[np.float32]
MOST = 3  # things at once
LIGHT = 1 / 35  # of the person's height: what is narrower than this in brightness is taken for light and kept


def printed(rng: Rng, rgb: Floats, cover: Floats, backdrops: Backdrops) -> tuple[Floats, NDArray[np.bool_]]:
    """Paint one to three things onto the person, under the light that was there.

    Args: rgb (H, W, 3) 0..255, cover (H, W) 0..1. Returns the picture and (H, W) where it was painted on.
    """
    painted = np.zeros(cover.shape, np.float32)
    rows, columns = np.flatnonzero((cover > 0.5).any(axis=1)), np.flatnonzero((cover > 0.5).any(axis=0))
    if not len(rows):
        return rgb, painted > 0
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # all that is looked at
    person, inside = rgb[box], cover[box]
    places = np.argwhere(inside > 0.5)
    light = _fine_light(person, inside)
    for _ in range(rng.integers(1, MOST + 1)):
        where = _outline(rng, places[rng.integers(len(places))], *inside.shape) * inside * np.float32(rng.uniform(0.6, 1.0))
        person = paste(person, _ink(rng, person, places, backdrops) * light, where)
        painted[box] = np.maximum(painted[box], where)
    rgb = rgb.copy()
    rgb[box] = np.clip(person, 0, 255)
    return rgb, painted > 0.05


def _ink(rng: Rng, rgb: Floats, places: NDArray[np.intp], backdrops: Backdrops) -> Floats:
    """(H, W, 3): a pattern, a colour, or one that the person has elsewhere: cloth of the colour of a hand is not a hand."""
    kind = rng.random()
    if kind < 0.3:
        return np.clip(backdrops.texture(rng, *rgb.shape[:2]), 0, 255).astype(np.float32)
    row, column = places[rng.integers(len(places))]
    return np.broadcast_to(colour(rng) if kind < 0.65 else rgb[row, column], rgb.shape).astype(np.float32)


def _outline(rng: Rng, place: NDArray[np.intp], height: int, width: int) -> Floats:
    """(H, W) coverage of a badge, a stripe, a word or a whole panel of cloth around `place` (row, column)."""
    kind = rng.random()
    if kind < 0.25:  # as a jacket that hangs open, or a shirt of two cloths
        return (fractal_grey(rng, height, width, 0.3) > rng.uniform(0.3, 1.2)).astype(np.float32)
    shape = word(rng, height, width) if kind < 0.45 else thing(rng, height, width)
    rows, columns = np.nonzero(shape)
    if not len(rows):
        return shape
    # `thing` and `word` draw anywhere: moved so that the middle of what they drew comes to `place`, what leaves the picture is lost.
    shift = np.array([[1, 0, place[1] - columns.mean()], [0, 1, place[0] - rows.mean()]])
    return cv2.warpAffine(shape, shift, (width, height))


def _fine_light(rgb: Floats, cover: Floats) -> Floats:
    """(H, W, 1) folds and creases: brightness over the mean brightness around, about 1."""
    sigma = max(rgb.shape[0] * LIGHT, 1.0)
    bright = rgb.mean(axis=2)
    around = cv2.GaussianBlur(bright * cover, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(cover, (0, 0), sigma), np.float32(1e-3))
    return np.clip((bright + 10) / (around + 10), 0.5, 1.6)[..., None]  # 10: black cloth has a light of its own, not one of its noise
