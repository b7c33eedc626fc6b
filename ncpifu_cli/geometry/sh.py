"""Real spherical harmonics of order 2 (nine functions), as PIFu's shaders use them (design: protocol A.3).

Order: 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2; directions in the project's frame (y up, z towards the camera).
"""

import numpy as np
from numpy.typing import NDArray

COSINE_LOBE = np.array([np.pi] + [2 * np.pi / 3] * 3 + [np.pi / 4] * 5)
"""(9,) factors that turn SH radiance into irradiance over the unshadowed hemisphere (Ramamoorthi and Hanrahan 2001)."""


def basis(directions: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 3) unit vectors -> (N, 9)."""
    x, y, z = np.asarray(directions, np.float64).T
    return np.stack(
        [
            np.full_like(x, 0.28209479177387814),
            0.4886025119029199 * y,
            0.4886025119029199 * z,
            0.4886025119029199 * x,
            1.0925484305920792 * x * y,
            1.0925484305920792 * y * z,
            0.31539156525252005 * (3 * z * z - 1),
            1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ],
        axis=1,
    )


def fibonacci_sphere(count: int) -> NDArray[np.float64]:
    """(count, 3) unit vectors spread evenly over the sphere."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height * height)
    return np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], axis=1)


_PROBES = fibonacci_sphere(16)  # any set that spans the nine functions gives the rotation exactly


def rotate(coefficients: NDArray[np.floating], rotation: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn an SH function with `rotation`: result(R d) = function(d).

    Args:
        coefficients: (9, C). rotation: 3x3. Returns (9, C).
    """
    values = basis(_PROBES @ rotation) @ np.asarray(coefficients, np.float64)  # the turned function at p is the old one at R^-1 p
    solution, *_ = np.linalg.lstsq(basis(_PROBES), values, rcond=None)
    return np.asarray(solution, np.float64)
