"""Skin: tone, mottling, blush, lips, brows, beard; colour and a little relief on the fine body."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.looks.head import Head
from ncpifu_cli.synth.looks.palette import DARK_HAIR, GREY_HAIR, HAIR, HAIR_SHARES, LIPSTICK, SKIN_TONES
from ncpifu_cli.synth.noise import fractal_noise, smoothstep, value_noise
from ncpifu_cli.synth.skeleton import SIDES

Array = NDArray[np.float64]

BEARDS = {"stubble": (0.38, 0.0003), "full": (0.92, 0.008), "goatee": (0.85, 0.006), "mustache": (0.9, 0.004)}  # colour share, relief in metres
BEARD_SHARES = (0.45, 0.3, 0.15, 0.1)


@dataclass(frozen=True)
class Complexion:
    """Decided once per person. Attributes: tone 0 (lightest) .. 9, its colour (3,), hair_color (3,), lips (3,), beard ("none" or in BEARDS)."""

    tone: float
    color: Array
    hair_color: Array
    lips: Array
    beard: str


def sample_complexion(shape: BodyShape, rng: np.random.Generator) -> Complexion:
    """Tone by ancestry, hair colour by tone and age."""
    p = shape.phenotype
    tone = float(np.clip(p.african * 6.2 + p.asian * 2.2 + p.caucasian * 0.9 + rng.normal(0, 1.0), 0, 9))
    low = int(tone)
    color = SKIN_TONES[low] + (SKIN_TONES[min(low + 1, 9)] - SKIN_TONES[low]) * (tone - low)
    natural, dark, grey = rng.choice(len(HAIR), p=HAIR_SHARES), rng.choice(DARK_HAIR), rng.choice(GREY_HAIR)
    hair = grey if p.age > 0.9 and rng.random() < 0.6 else dark if tone > 5 or p.asian > 0.6 else natural
    hair = hair % 4 if hair in GREY_HAIR and p.age < 0.8 else hair  # dark instead: the young are seldom grey
    painted = p.is_female and rng.random() < 0.45 and not p.is_child
    lips = LIPSTICK[rng.integers(len(LIPSTICK))] if painted else color * np.array([0.86, 0.62, 0.62])
    bearded = rng.random() < 0.55 and not p.is_female and not p.is_child
    beard = str(rng.choice(list(BEARDS), p=BEARD_SHARES)) if bearded else "none"
    return Complexion(tone, color, HAIR[hair], lips, beard)


def paint_skin(model: BodyModel, shape: BodyShape, head: Head, complexion: Complexion, noise_seed: int) -> tuple[Array, Array, Array]:
    """The fine body: (rest positions (V, 3), sRGB (V, 3), outward relief (V,) metres for brows and beard)."""
    points = model.fine.matrix @ shape.body
    color = np.tile(complexion.color, (len(points), 1))
    color *= 1 + 0.035 * fractal_noise(points * 40, 3, noise_seed)[:, None] + 0.025 * fractal_noise(points * 160, 2, noise_seed + 1)[:, None]
    color += _blush(model, shape, head, points)[:, None] * np.array([0.05, -0.035, -0.03]) * (1 - 0.08 * complexion.tone)
    mask = model.fine.mask
    lips, nails = mask("lips")[:, None], mask("fingernails")[:, None]
    color += (complexion.lips - color) * 0.85 * lips
    color *= 1 - 0.14 * mask("eyelids")[:, None]
    color += (np.clip(complexion.color * 1.05 + [0.05, 0.02, 0.02], 0, 1) - color) * nails
    color *= 1 - 0.16 * _eye_sockets(head, points)[:, None]
    brows = _brows(shape, head, points, noise_seed + 4)
    color += (complexion.hair_color * 0.75 - color) * 0.9 * brows[:, None]
    relief = brows * 0.0008
    if complexion.beard != "none":
        share, height = BEARDS[complexion.beard]
        beard = _beard(complexion.beard, head, points) * (1 - lips[:, 0])
        strands = 0.75 + 0.35 * value_noise(points * [500, 500, 170], noise_seed + 8)
        color += (complexion.hair_color * 0.8 - color) * np.clip(beard * strands * share, 0, 1)[:, None]
        relief += beard * height * (0.6 + 0.6 * value_noise(points * [420, 420, 110], noise_seed + 9))
    return points, np.clip(color, 0, 1), relief


def _blush(model: BodyModel, shape: BodyShape, head: Head, points: Array) -> Array:
    """(V,) redness: cheeks, nose, ears, elbows, knees, knuckles."""
    x, _, z = (points - head.eyes).T
    cheeks = sum(np.exp(-(((x - s * 0.045) / 0.025) ** 2 + ((z + 0.04) / 0.022) ** 2)) for s in (-1, 1)) * head.in_front(points, 0.03)
    nose = np.exp(-((x / 0.016) ** 2 + ((z + 0.045) / 0.018) ** 2)) * head.in_front(points, 0.05)
    redness = cheeks * 0.9 + nose * 0.8 + model.fine.mask("ears") * 0.6
    for bone in ("lowerarm01", "lowerleg01", "finger2-1", "finger3-1", "finger4-1"):
        size = 0.012 if bone.startswith("finger") else 0.05
        for side in SIDES:
            distance = np.linalg.norm(points - shape.skeleton.head(f"{bone}.{side}"), axis=1)
            redness = redness + 0.7 * np.exp(-((distance / size) ** 2))
    return redness


def _eye_sockets(head: Head, points: Array) -> Array:
    total = np.zeros(len(points))
    for eye in (head.eye_left, head.eye_right):
        distance = np.hypot((points[:, 0] - eye[0]) / 0.02, (points[:, 2] - eye[2]) / 0.013)
        total += np.exp(-(distance**2)) * head.in_front(points)
    return total


def _brows(shape: BodyShape, head: Head, points: Array, seed: int) -> Array:
    """(V,) 0..1."""
    thickness = 0.0034 if shape.phenotype.is_female else 0.0048
    total = np.zeros(len(points))
    for side in (1, -1):
        along = (points[:, 0] * side - 0.012) / 0.046
        arch = 0.0075 * np.sin(np.clip(along, 0, 1) * 2.2) - 0.006 * np.clip(along - 0.62, 0, 1) / 0.38
        height = points[:, 2] - (head.eyes[2] + 0.021 * head.scale + arch)
        width = thickness * (1 - 0.55 * np.clip(along - 0.3, 0, 1))
        total += np.exp(-((height / width) ** 4)) * smoothstep(-0.05, 0.08, along) * (1 - smoothstep(0.88, 1.05, along))
    hairs = 0.72 + 0.4 * value_noise(points * [700, 700, 350], seed)
    return np.clip(total * hairs * head.in_front(points), 0, 1)


def _beard(kind: str, head: Head, points: Array) -> Array:
    """(V,) 0..1 where the beard grows."""
    side = np.abs(head.azimuth(points))
    z = (points[:, 2] - head.eyes[2]) / head.scale
    upper_edge = -0.070 + 0.045 * smoothstep(0.45, 1.05, side) + 0.05 * smoothstep(1.0, 1.35, side)
    jaw = smoothstep(upper_edge + 0.006, upper_edge - 0.006, z) * (1 - smoothstep(1.32, 1.5, side)) * (1 - smoothstep(-0.125, -0.145, z))
    jaw *= points[:, 1] < head.centre[1] + 0.02
    moustache = np.exp(-(((z + 0.062) / 0.007) ** 4)) * (np.abs(points[:, 0]) < 0.03) * head.in_front(points, 0.05)
    if kind == "mustache":
        return moustache
    if kind == "goatee":
        jaw = jaw * (np.abs(points[:, 0]) < 0.028)
    return np.maximum(jaw, moustache)
