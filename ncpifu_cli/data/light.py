"""Light: synthesised SH environments and PIFu's shading (design: rendering_and_masks B, protocol A.3).

Environments are drawn, never downloaded: ambient, a sky gradient and one to three soft black-body lamps, mostly from the front and above, as people
are photographed. Their statistics match those of the 240 light probes that PIFu uses (exposure, direction, contrast, colour cast).
"""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry import sh
from ncpifu_cli.geometry.camera import rotation_y

_ALL_AROUND = sh.basis(sh.fibonacci_sphere(400)) * sh.COSINE_LOBE
_DARKEST = 0.17  # of the brightest normal: darker environments are drawn again
GAMMA = 2.2  # light is linear, and multiplies sRGB colours by its power of 1 / GAMMA
_EXPOSURE = 1.04  # mean of the constant coefficient over PIFu's probes


def environment(rng: np.random.Generator) -> NDArray[np.float64]:
    """One random environment: (9, 3) SH coefficients of linear RGB radiance in the camera's frame (y up, z towards the camera).

    Its irradiance is positive for every normal, and the darkest is at least 0.17 of the brightest.
    """
    while True:
        light = np.zeros((9, 3))
        light[0] = rng.uniform(0.15, 0.6) * _blackbody(rng.uniform(4500, 9000)) * 3 / (4 * np.pi * 0.282095)
        light[1] = rng.uniform(-0.05, 0.12) * _blackbody(rng.uniform(6000, 12000))  # sky from above or bounce from below
        for _ in range(rng.integers(1, 4)):
            direction = rng.normal(loc=(0, 0.1, 0.75), size=3)
            direction /= np.linalg.norm(direction)
            blur = rng.uniform(0.0, 0.45)  # angular size of the source: a lamp ... an overcast window
            soften = np.array([1.0] + [np.exp(-blur * 0.5)] * 3 + [np.exp(-blur * 1.5)] * 5)
            strength = rng.lognormal(-0.9, 0.6) * _blackbody(rng.uniform(2800, 9000))
            light += strength * (sh.basis(direction[None])[0] * soften)[:, None]
        irradiance = _ALL_AROUND @ light
        if irradiance.min() >= _DARKEST * irradiance.max():
            break
    light *= rng.normal(1.0, 0.12) * _EXPOSURE / light[0].mean()
    grey = light.mean(axis=1, keepdims=True)
    light = grey + (light - grey) * rng.uniform(0.25, 1.0)  # a camera's white balance removes most of the cast
    turn_deg = rng.uniform(-18, 18)  # PIFu turns its probes by up to a tenth of pi
    return sh.rotate(light, rotation_y(turn_deg))


def white() -> NDArray[np.float64]:
    """(9, 3): the environment that lights every unshadowed normal with exactly 1."""
    light = np.zeros((9, 3))
    light[0] = 1 / (np.pi * 0.28209479177387814)
    return light


def shading(transfer: NDArray[np.floating], light: NDArray[np.floating], camera_rotation: NDArray[np.floating]) -> NDArray[np.float32]:
    """Light on each vertex as PIFu's shader has it: gamma 1/2.2 of the transferred light, to be multiplied with the sRGB albedo.

    Args:
        transfer: (V, 9) in the subject's frame (see `prt`). light: (9, 3) in the camera's frame. camera_rotation: 3x3, subject to camera.

    Returns: (V, 3) float32, 0 and up.
    """
    turned = sh.rotate(light, camera_rotation.T).astype(np.float32)
    return np.maximum(transfer @ turned, 0) ** np.float32(1 / GAMMA)


def shade(albedo: NDArray[np.uint8], light_on_vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    """(V, 3) uint8 sRGB albedo x (V, 3) `shading` -> (V, 3) float32 colours in 0..255."""
    return np.minimum(albedo * light_on_vertices, 255).astype(np.float32)


def _blackbody(kelvin: float) -> NDArray[np.float64]:
    """(3,) linear RGB of a black body with mean 1 (T. Helland's fit to the Planckian locus)."""
    t = kelvin / 100
    red = 255 if t <= 66 else 329.7 * (t - 60) ** -0.1332
    green = 99.47 * np.log(t) - 161.12 if t <= 66 else 288.12 * (t - 60) ** -0.0755
    blue = 255 if t >= 66 else (0 if t <= 19 else 138.52 * np.log(t - 10) - 305.04)
    linear = (np.clip([red, green, blue], 1, 255) / 255) ** GAMMA
    return linear / linear.mean()
