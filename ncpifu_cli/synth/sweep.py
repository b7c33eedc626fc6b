"""Profiles carried along curves: collars, straps, frames of glasses."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from ncpifu_cli.synth.rotations import unit, unit_rows
from ncpifu_cli.synth.topology import facing_outwards

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def resample(points: Array, count: int, closed: bool) -> Array:
    """(count, 3) points evenly along the polyline (P, 3)."""
    path = np.concatenate([points, points[:1]]) if closed else points
    way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    at = np.linspace(0, way[-1], count, endpoint=not closed)
    return np.stack([np.interp(at, way, path[:, k]) for k in range(path.shape[1])], axis=1)


def sweep(points: Array, outwards: Array, up: Array, profile: Array, closed: bool) -> tuple[Array, Index]:
    """A tube: profile (K, 2) or (S, K, 2), metres along `outwards` (S, 3) and `up` (3,) or (S, 3), carried along points (S, 3); capped when open.

    Returns (vertices (S K, 3), triangles), outside faces out.
    """
    steps, corners = len(points), profile.shape[-2]
    profile = np.broadcast_to(profile, (steps, corners, 2))
    up = np.broadcast_to(up, points.shape)
    vertices = (points[:, None] + profile[..., :1] * outwards[:, None] + profile[..., 1:] * up[:, None]).reshape(-1, 3)
    i = np.arange(steps if closed else steps - 1)[:, None] * corners
    following = (i + corners) % (steps * corners)
    j = np.arange(corners)[None]
    beside = (j + 1) % corners
    a, b, c, d = i + j, following + j, following + beside, i + beside
    triangles = [np.stack([a, b, c], axis=-1).reshape(-1, 3), np.stack([a, c, d], axis=-1).reshape(-1, 3)]
    if not closed:
        fan = np.arange(1, corners - 1)
        last = (steps - 1) * corners
        triangles.append(np.stack([np.zeros_like(fan), fan, fan + 1], axis=1))
        triangles.append(np.stack([np.full_like(fan, last), last + fan + 1, last + fan], axis=1))
    faces = np.concatenate(triangles)
    return vertices, facing_outwards(vertices, faces)


def ellipse(width_m: float, height_m: float, corners: int = 8) -> Array:
    """(corners, 2) profile of a round tube."""
    angle = np.arange(corners) / corners * 2 * np.pi
    return np.stack([np.cos(angle) * width_m / 2, np.sin(angle) * height_m / 2], axis=1)


def band(thickness_m: float, width_m: float) -> Array:
    """(4, 2) profile of a flat strap that lies on its inner side."""
    t, w = thickness_m, width_m / 2
    return np.array([[0, -w], [t, -w], [t, w], [0, w]])


def outline(points: Array, through: Array, normal: Array, gap_m: float, count: int = 96, near_m: float = 0.02) -> tuple[Array, Array] | None:
    """How a taut strap lies around `points` (N, 3): their convex outline where a plane cuts them, `gap_m` outside.

    Returns (curve (count, 3), outward directions (count, 3)); None where the plane meets nothing.
    """
    normal = unit(normal)
    near = points[np.abs((points - through) @ normal) < near_m]
    if len(near) < 8:
        return None
    first = unit(np.cross(normal, [0.0, 1.0, 0.0]) if abs(normal[1]) < 0.9 else np.cross(normal, [1.0, 0.0, 0.0]))
    axes = np.stack([first, np.cross(normal, first)])
    flat = (near - through) @ axes.T
    curve = resample(flat[ConvexHull(flat).vertices], count, closed=True)
    for _ in range(3):
        curve = (np.roll(curve, 1, axis=0) + 2 * curve + np.roll(curve, -1, axis=0)) / 4
    tangent = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
    away = unit_rows(np.stack([tangent[:, 1], -tangent[:, 0]], axis=1))  # hulls are walked counter-clockwise
    return through + (curve + gap_m * away) @ axes, away @ axes
