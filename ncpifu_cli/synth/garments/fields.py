"""Where a point of the rest body lies, in a tailor's terms: region, way along the limb, angle around it."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from ncpifu_cli.synth.noise import smoothstep
from ncpifu_cli.synth.rotations import unit
from ncpifu_cli.synth.skeleton import SIDES, Skeleton

Array = NDArray[np.float64]
Index = NDArray[np.int64]

TORSO, ARM_L, ARM_R, LEG_L, LEG_R = range(5)
TORSO_RADIUS_M, ARM_RADIUS_M, LEG_RADIUS_M = 0.16, 0.055, 0.08  # turn angles into fabric metres; close enough for patterns

ARM_BONES = ("upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
LEG_BONES = ("upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot")


@dataclass(frozen=True)
class Landmarks:
    """Heights and lengths of one rest body, metres. neck (3,) is the base of the neck, front is -y."""

    hip_z: float
    waist_z: float
    shoulder_z: float
    foot_z: float
    neck: Array
    arm_length: float

    @staticmethod
    def of(skeleton: Skeleton) -> "Landmarks":
        """Read off the skeleton's joints."""
        shoulder, elbow, wrist = skeleton.arm("L")
        return Landmarks(
            hip_z=float(skeleton.head("upperleg01.L")[2]),
            waist_z=float(skeleton.head("spine04")[2]),
            shoulder_z=float(shoulder[2]),
            foot_z=float(skeleton.head("foot.L")[2]),
            neck=skeleton.head("neck01"),
            arm_length=float(np.linalg.norm(elbow - shoulder) + np.linalg.norm(wrist - elbow)),
        )


@dataclass(frozen=True)
class SurfaceFields:
    """Per vertex: region (TORSO, ARM_L, ...); along: share of the arm or leg from its root (-1 on the torso); azimuth around torso or limb, radians,
    0 in front; radius, the nominal one of its region; axis (V, 3) along the limb."""

    region: Index
    along: Array
    azimuth: Array
    radius: Array
    axis: Array

    @property
    def arm(self) -> NDArray[np.bool_]:
        return (self.region == ARM_L) | (self.region == ARM_R)

    @property
    def leg(self) -> NDArray[np.bool_]:
        return (self.region == LEG_L) | (self.region == LEG_R)

    @property
    def torso(self) -> NDArray[np.bool_]:
        return self.region == TORSO

    def at(self, ids: Index) -> "SurfaceFields":
        """The fields of some vertices."""
        return SurfaceFields(self.region[ids], self.along[ids], self.azimuth[ids], self.radius[ids], self.axis[ids])


def surface_fields(points: Array, weights: sparse.csr_matrix, skeleton: Skeleton) -> SurfaceFields:
    """Fields of (V, 3) rest positions with skinning weights (V, J)."""
    count = len(points)
    region = np.full(count, TORSO)
    along = np.full(count, -1.0)
    azimuth = np.arctan2(points[:, 0], -points[:, 1])
    radius = np.full(count, TORSO_RADIUS_M)
    axis = np.tile([0.0, 0.0, 1.0], (count, 1))
    for side, label in zip(SIDES, (ARM_L, ARM_R), strict=True):
        inside = _bone_weight(weights, skeleton, ARM_BONES, side) > 0.5
        region[inside], radius[inside] = label, ARM_RADIUS_M
        along[inside], azimuth[inside], axis[inside] = _arm_fields(points[inside], skeleton, side)
    for side, label in zip(SIDES, (LEG_L, LEG_R), strict=True):
        hip, ankle = skeleton.leg(side)[0], skeleton.leg(side)[2]
        inside = (_bone_weight(weights, skeleton, LEG_BONES, side) > 0.5) & (points[:, 2] < hip[2] - 0.06)
        region[inside], radius[inside] = label, LEG_RADIUS_M
        fraction = np.clip((points[inside, 2] - hip[2]) / (ankle[2] - hip[2]), 0, 1)
        offset = points[inside] - (hip + (ankle - hip) * fraction[:, None])
        along[inside], azimuth[inside] = fraction, np.arctan2(offset[:, 0], -offset[:, 1])
    return SurfaceFields(region, along, azimuth, radius, axis)


def _bone_weight(weights: sparse.csr_matrix, skeleton: Skeleton, bones: tuple[str, ...], side: str) -> Array:
    columns = [skeleton.index[f"{bone}.{side}"] for bone in bones]
    return np.asarray(weights[:, columns].sum(axis=1)).ravel()


def _arm_fields(points: Array, skeleton: Skeleton, side: str) -> tuple[Array, Array, Array]:
    """(along, azimuth, axis) of points on one arm."""
    shoulder, elbow, wrist = skeleton.arm(side)
    upper, lower = unit(elbow - shoulder), unit(wrist - elbow)
    upper_length, lower_length = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
    on_upper, on_lower = (points - shoulder) @ upper, (points - elbow) @ lower
    below = on_lower > 0
    turned = smoothstep(-0.04, 0.04, on_lower)  # over the elbow, so that the way runs on evenly on its outside
    along = ((1 - turned) * on_upper + turned * (upper_length + on_lower)) / (upper_length + lower_length)
    centre = np.where(below[:, None], elbow + np.maximum(on_lower, 0)[:, None] * lower, shoulder + on_upper[:, None] * upper)
    normal = unit(np.cross(upper, [0, 1, 0]))
    offset = points - centre
    azimuth = np.arctan2(offset @ np.cross(upper, normal), offset @ normal)
    return along, azimuth, np.where(below[:, None], lower, upper)


def sleeve_seed(fields: SurfaceFields) -> Array:
    """Shifts each region's pattern so that the two sleeves do not mirror each other."""
    return fields.region * 0.31 + (fields.region == ARM_L) * 0.07
