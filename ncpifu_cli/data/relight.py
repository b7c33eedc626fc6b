"""Another light on a rendered person: a sun that casts shadows, and gloss. For pictures whose normals are known.

Renders are lit by soft environments on dull surfaces (`data/light.py`). Outdoors, and under a flash, shading is harder: half a face is dark, an arm throws its
shadow on the chest, skin and leather shine. A network that tells normals from shading has to have seen that.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.backdrops import Rng, fractal_grey
from ncpifu_cli.data.light import GAMMA

Floats = NDArray[np.float32]
SUN, GLOSS = 0.5, 0.35  # how often
REACH_NDC, STEPS = 0.5, 16  # how far shadows fall, half a metre, and in how many steps they are looked for
BIAS_NDC, THICK_NDC = 0.015, 0.25  # what lies less far in front throws no shadow (depth is coarse); what throws one is at most this thick


def relit(rng: Rng, rgb: Floats, normals: Floats, front_ndc: Floats, window: tuple[slice, slice], size_px: int) -> Floats:
    """Colours under another light, in some of the pictures.

    Args: rgb (H, W, 3) 0..255; normals (3, H, W) of what is seen, in the camera's frame, 0 where unknown; front_ndc (s, s) depth of the whole view, NaN where
        there is no surface; window: the picture's rows and columns in the whole view, size_px.
    """
    sunny, glossy = rng.random() < SUN, rng.random() < GLOSS
    if not (sunny or glossy):
        return rgb
    towards = _direction(rng)
    lit = lit_share(front_ndc, towards)
    lit = np.asarray(cv2.resize(lit, (size_px, size_px), interpolation=cv2.INTER_LINEAR)[window], np.float32)
    known = np.any(normals != 0, axis=0)
    if sunny and known.any():
        ambient = rng.uniform(0.15, 0.7)
        sun = lit * np.maximum(np.tensordot(towards, normals, 1), 0)
        warmth = 1 + rng.uniform(-0.1, 0.2) * np.array([1, 0, -1], np.float32)
        light = ambient + (1 - ambient) * sun[..., None] / max(float(sun[known].mean()), 0.15) * warmth
        rgb = np.where(known[..., None], rgb * light ** np.float32(1 / GAMMA), rgb)
    if glossy:
        halfway = towards + np.array([0, 0, 1], np.float32)  # between the light and the camera
        facing = np.maximum(np.tensordot(halfway / np.linalg.norm(halfway), normals, 1), 0)
        shine = facing ** np.float32(np.exp(rng.uniform(np.log(4), np.log(60))))
        where = fractal_grey(rng, shine.shape[0], shine.shape[1], 0.35) > rng.uniform(-1.5, 0.8)
        where = cv2.GaussianBlur(where.astype(np.float32), (0, 0), 1.5)
        rgb = rgb + np.float32(rng.uniform(10, 110)) * (shine * lit * where)[..., None]
    return np.clip(rgb, 0, 255).astype(np.float32)


def lit_share(front_ndc: Floats, towards: Floats) -> Floats:
    """(s, s) 0..1: how much of a light from `towards`, a unit vector (3,), reaches the front surface (s, s), NDC, NaN where there is none."""
    size = len(front_ndc)
    front = np.where(np.isnan(front_ndc), np.float32(-9), front_ndc)
    shadow = np.zeros(front.shape, np.bool_)
    for distance in np.linspace(REACH_NDC / STEPS, REACH_NDC, STEPS):
        across, up, nearer = distance * towards
        move = np.array([[1, 0, across * size / 2], [0, 1, -up * size / 2]])
        there = cv2.warpAffine(front, move, (size, size), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=-9.0)
        depth = there - (front + nearer)
        shadow |= (depth > BIAS_NDC) & (depth < THICK_NDC)
    return np.asarray(cv2.GaussianBlur(1 - shadow.astype(np.float32), (0, 0), 0.7), np.float32)


def _direction(rng: Rng) -> Floats:
    """(3,) the unit vector to a light, mostly from above, never from behind the person, where it would light nothing that is seen."""
    towards = rng.normal((0.0, 0.35, 0.55), 0.6)
    towards[2] = max(abs(towards[2]), 0.1)
    return np.asarray(towards / np.linalg.norm(towards), np.float32)
