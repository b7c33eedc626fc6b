"""Rotations as 3x3 matrices acting on column vectors."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def unit(vector: ArrayLike) -> Array:
    """`vector` (3,) at length 1."""
    v = np.asarray(vector, np.float64)
    return v / np.linalg.norm(v)


def unit_rows(vectors: Array) -> Array:
    """(N, 3) rows at length 1; zero rows stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def about(axis: ArrayLike, angle_deg: float) -> Array:
    """Rotation by `angle_deg` about `axis` (3,)."""
    return Rotation.from_rotvec(unit(axis) * np.deg2rad(angle_deg)).as_matrix()


def scaled(rotation: Array, factor: float) -> Array:
    """The same axis, `factor` times the angle."""
    return Rotation.from_rotvec(Rotation.from_matrix(rotation).as_rotvec() * factor).as_matrix()


def limited(rotation: Array, largest_deg: float) -> Array:
    """The same axis, at most `largest_deg`."""
    angle = Rotation.from_matrix(rotation).magnitude()
    return rotation if angle <= np.deg2rad(largest_deg) else scaled(rotation, np.deg2rad(largest_deg) / angle)


def align(source: ArrayLike, target: ArrayLike) -> Array:
    """The shortest rotation that turns direction `source` to direction `target`; the identity for parallel ones."""
    a, b = unit(source), unit(target)
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-8:
        return np.eye(3)
    return about(axis, float(np.rad2deg(np.arctan2(sine, a @ b))))


def hinge_frame(first: ArrayLike, second: ArrayLike) -> Array:
    """Columns: `first`, the hinge axis normal to both segments, and their cross product. The two must not be parallel."""
    u = unit(first)
    hinge = unit(np.cross(u, np.asarray(second, np.float64)))
    return np.stack([u, hinge, np.cross(u, hinge)], axis=1)


def swing_twist(rotation: Array, axis: ArrayLike) -> tuple[Array, Array]:
    """(swing, twist) with rotation = swing @ twist and twist about `axis`."""
    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    a = unit(axis)
    along = (np.array([x, y, z]) @ a) * a
    quaternion = np.array([*along, w])
    if np.linalg.norm(quaternion) < 1e-9:
        return rotation, np.eye(3)
    twist = Rotation.from_quat(quaternion).as_matrix()
    return rotation @ twist.T, twist
