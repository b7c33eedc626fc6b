"""Seeded value noise: the same field on every machine, without tables or state."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lattice_hash(i: NDArray, j: NDArray, k: NDArray, seed: int) -> Array:
    """Pseudo-random value in [-1, 1] for integer lattice points (any broadcastable shapes)."""
    n = (i.astype(np.int64) * 73856093) ^ (j.astype(np.int64) * 19349663) ^ (k.astype(np.int64) * 83492791) ^ ((seed * 2654435761) & 0xFFFFFFFF)
    n = (n ^ (n >> 13)) & 0x7FFFFFFF
    n = (n * 1274126177 + (n >> 7)) & 0x7FFFFFFF
    n = (n ^ (n >> 16)) & 0xFFFFFF
    return n / float(0xFFFFFF) * 2 - 1


def value_noise(points: Array, seed: int = 0) -> Array:
    """Smooth noise in [-1, 1] at (N, 3) points, one lattice cell per unit."""
    cell = np.floor(points)
    fraction = points - cell
    fraction = fraction * fraction * (3 - 2 * fraction)
    i, j, k = cell.astype(np.int64).T
    x, y, z = fraction.T
    total = np.zeros(len(points))
    for di in (0, 1):
        for dj in (0, 1):
            weight = (x if di else 1 - x) * (y if dj else 1 - y)
            total += weight * ((1 - z) * lattice_hash(i + di, j + dj, k, seed) + z * lattice_hash(i + di, j + dj, k + 1, seed))
    return total


def fractal_noise(points: Array, octaves: int = 4, seed: int = 0, gain: float = 0.5) -> Array:
    """Sum of `octaves` value noises, each twice as fine and `gain` as strong; within [-1, 1]."""
    total, amplitude, norm = np.zeros(len(points)), 1.0, 0.0
    for octave in range(octaves):
        total += amplitude * value_noise(points * 2**octave + octave * 17.3, seed + octave)
        norm += amplitude
        amplitude *= gain
    return total / norm


def smoothstep(low: float | Array, high: float | Array, x: Array) -> Array:
    """0 below `low`, 1 above `high`, cubic between; with low > high it falls."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
