"""Colours that people and clothes have, sRGB."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _srgb(*rows: tuple[int, int, int]) -> Array:
    return np.array(rows) / 255.0


# fmt: off
SKIN_TONES = _srgb(
    (246, 214, 196), (238, 198, 172), (228, 180, 150), (214, 163, 128), (196, 142, 106), (171, 116, 82), (141, 92, 63), (110, 70, 48), (82, 52, 38),
    (60, 40, 32)
)
HAIR = _srgb(
    (20, 16, 14), (35, 24, 18), (58, 38, 25), (86, 56, 34), (122, 84, 50), (168, 126, 76), (206, 170, 112), (120, 58, 30), (150, 145, 140),
    (205, 203, 200), (60, 60, 62)
)
HAIR_SHARES = np.array([0.2, 0.2, 0.16, 0.12, 0.08, 0.06, 0.05, 0.04, 0.04, 0.03, 0.02])
DARK_HAIR, GREY_HAIR = (0, 0, 0, 1, 8), (8, 9, 10)
IRIS = np.array([[0.25, 0.14, 0.07], [0.33, 0.2, 0.1], [0.2, 0.3, 0.42], [0.3, 0.36, 0.25], [0.15, 0.09, 0.05]])
LIPSTICK = np.array([[0.70, 0.16, 0.2], [0.76, 0.3, 0.33], [0.6, 0.2, 0.26], [0.8, 0.42, 0.42]])

CLOTHES = _srgb(
    (235, 235, 232), (28, 28, 31), (60, 62, 68), (120, 122, 126), (176, 178, 180), (24, 34, 62), (44, 66, 112), (92, 126, 168), (158, 186, 212),
    (112, 28, 34),
    (176, 42, 44), (214, 98, 72), (232, 168, 70), (240, 214, 120), (66, 82, 54), (48, 102, 78), (118, 146, 108), (190, 206, 176), (112, 84, 60),
    (168, 136, 102),
    (214, 196, 166), (92, 58, 104), (172, 128, 168), (226, 170, 180), (244, 222, 210), (18, 92, 98), (140, 190, 190), (200, 60, 110),
)
# How often each of CLOTHES is worn: black, white, greys and blues rule the street.
CLOTHES_SHARES = np.array([4, 5, 2.5, 1.5, 1.5, 3, 2, 1.2, 1.2, 1, 1, 0.6, 0.6, 0.5, 1, 0.8, 0.7, 0.6, 0.8, 0.8, 1.2, 0.5, 0.5, 0.7, 0.8, 0.6, 0.6, 0.4])
# fmt: on
DENIM = _srgb((38, 52, 84), (58, 78, 116), (92, 118, 156), (140, 164, 190), (34, 36, 44), (70, 74, 82), (24, 30, 50))
SOBER = CLOTHES[[1, 1, 2, 3, 5, 5, 18, 19, 20, 14]]
LEATHER = CLOTHES[[1, 1, 18, 18, 2, 19]]
PALETTES = {"any": None, "denim": DENIM, "sober": SOBER}


def draw_color(rng: np.random.Generator, palette: str = "any") -> Array:
    """(3,) one colour of a palette: any, denim or sober."""
    colors = PALETTES[palette]
    if colors is None:
        return CLOTHES[rng.choice(len(CLOTHES), p=CLOTHES_SHARES / CLOTHES_SHARES.sum())]
    return colors[rng.integers(len(colors))]


def draw_contrast(rng: np.random.Generator, base: Array) -> Array:
    """(3,) a colour clearly different from `base`."""
    accent = draw_color(rng)
    if np.abs(base - accent).sum() < 0.5:
        accent = CLOTHES[0] if base.mean() < 0.5 else CLOTHES[1]
    return accent
