"""Between sRGB values and linear light, both 0..1 (IEC 61966-2-1)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def to_linear(srgb: NDArray[np.floating]) -> Array:
    """Linear light of sRGB values."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4)


def from_linear(linear: NDArray[np.floating]) -> Array:
    """sRGB values of linear light."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
