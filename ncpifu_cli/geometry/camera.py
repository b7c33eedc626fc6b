"""The orthographic camera and the normalised subject frame (design: method section 1; PIFu's convention in metres)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALF_EXTENT_M = 1.024  # half the width of the image, in metres of a normalised subject
SUBJECT_HEIGHT_M = 1.80


def rotation_y(yaw_deg: float) -> NDArray[np.float64]:
    """3x3 rotation of the subject about +y; positive turns +z towards +x. Exact at multiples of 90 degrees."""
    cosine, sine = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    if yaw_deg % 90 == 0:
        cosine, sine = round(float(cosine)), round(float(sine))
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]], dtype=np.float64)


def rotation_x(pitch_deg: float) -> NDArray[np.float64]:
    """3x3 rotation about +x; positive tips the subject's head towards the camera (a camera looking down)."""
    cosine, sine = np.cos(np.deg2rad(pitch_deg)), np.sin(np.deg2rad(pitch_deg))
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]], dtype=np.float64)


@dataclass(frozen=True)
class Camera:
    """Orthographic view of the normalised subject from `yaw_deg` and `pitch_deg`."""

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0

    @property
    def rotation(self) -> NDArray[np.float64]:
        """3x3, world to camera: R_x(pitch) R_y(yaw)."""
        return rotation_x(self.pitch_deg) @ rotation_y(self.yaw_deg)

    def world_to_ndc(self, xyz_m: NDArray[np.floating]) -> NDArray[np.floating]:
        """(..., 3) metres of the normalised subject -> (..., 3) NDC, z towards the camera."""
        return (xyz_m @ self.rotation.T.astype(xyz_m.dtype)) / xyz_m.dtype.type(HALF_EXTENT_M)

    def ndc_to_world(self, xyz_ndc: NDArray[np.floating]) -> NDArray[np.floating]:
        """Inverse of `world_to_ndc`."""
        return (xyz_ndc * xyz_ndc.dtype.type(HALF_EXTENT_M)) @ self.rotation.astype(xyz_ndc.dtype)


def ndc_to_px(xy_ndc: NDArray[np.floating], size_px: int) -> NDArray[np.floating]:
    """(..., 2+) NDC -> (..., 2) pixel coordinates (u right, v down), pixel centres at half-integers."""
    u = (xy_ndc[..., 0] + 1) * (size_px / 2)
    v = (1 - xy_ndc[..., 1]) * (size_px / 2)
    return np.stack([u, v], axis=-1)


def points_to_px(points_ndc: NDArray[np.floating], size_px: int) -> NDArray[np.float32]:
    """(V, 3) NDC -> (V, 3) float32: u right, v down in pixels, z in NDC."""
    return np.column_stack([ndc_to_px(points_ndc, size_px), points_ndc[:, 2]]).astype(np.float32)


@dataclass(frozen=True)
class Similarity:
    """normalised = scale * rotation @ (raw - centre). Kept beside every result so that it can be mapped back.

    Attributes: scale (1), rotation 3x3 as nested tuples, centre (3,) in raw units.
    """

    scale: float
    rotation: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    centre: tuple[float, float, float]

    def apply(self, raw: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) raw scan units -> (N, 3) metres of the normalised frame."""
        return self.scale * (np.asarray(raw, np.float64) - np.array(self.centre)) @ np.array(self.rotation).T

    def invert(self, normalised: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) metres of the normalised frame -> (N, 3) raw scan units."""
        return np.asarray(normalised, np.float64) @ np.array(self.rotation) / self.scale + np.array(self.centre)


def normalise_subject(vertices: NDArray[np.floating], up: str = "y") -> Similarity:
    """The similarity that makes a subject 1.80 m tall, x and z on the median vertex, y on the middle of the bounding box.

    Args:
        vertices: (V, 3), raw units, finite. up: raw up axis, one of "x", "y", "z", "-x", "-y", "-z".

    Raises ValueError for an unknown axis or a subject without height.
    """
    axes = {
        "y": np.eye(3),
        "-y": np.diag([1.0, -1.0, -1.0]),
        "z": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
        "-z": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
        "x": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        "-x": np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
    }
    if up not in axes:
        raise ValueError(f"up axis must be one of {', '.join(axes)}, not {up!r}")
    rotation = axes[up]
    upright = np.asarray(vertices, np.float64) @ rotation.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    height = float(high[1] - low[1])
    if not height > 0:
        raise ValueError("the subject has no height")
    middle = np.median(upright, axis=0)
    middle[1] = (low[1] + high[1]) / 2
    centre = middle @ rotation  # R^T middle
    rows = tuple(tuple(float(x) for x in row) for row in rotation)
    return Similarity(SUBJECT_HEIGHT_M / height, rows, tuple(float(x) for x in centre))  # type: ignore[arg-type]
