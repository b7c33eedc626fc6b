"""Move a mesh onto the true one before it is measured, for systems that answer in a frame of their own: similarity or rigid registration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.metrics import SurfaceTree
from ncpifu_cli.geometry.surface import sample_surface

Floats = NDArray[np.float64]
POINTS = 3000  # per surface
MAX_ITERATIONS = 100
CONVERGED_M = 1e-6  # mean residual changes by less than this from one iteration to the next


@dataclass(frozen=True)
class Transform:
    """moved = scale * rotation @ point + shift. Attributes: scale (1). rotation (3, 3). shift (3,) metres."""

    scale: float
    rotation: Floats
    shift: Floats

    def apply(self, points: Floats) -> Floats:
        """(N, 3) -> (N, 3)."""
        return self.scale * points @ self.rotation.T + self.shift

    def undo(self, points: Floats) -> Floats:
        """(N, 3) -> (N, 3), the inverse."""
        return (points - self.shift) @ self.rotation / self.scale

    @property
    def angle_deg(self) -> float:
        """How far the rotation turns, 0 to 180 degrees."""
        return float(np.rad2deg(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))


def fit_points(source: Floats, target: Floats, with_scale: bool) -> Transform:
    """The transform that brings (N, 3) points nearest to their partners (N, 3), least squares, without reflection (Umeyama 1991)."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred, wanted = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd(wanted.T @ centred)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ np.diag(signs) @ right
    scale = float((singular * signs).sum() / max((centred**2).sum(), 1e-30)) if with_scale else 1.0
    return Transform(scale, rotation, target_mean - scale * rotation @ source_mean)


def register(prediction: SurfaceTree, truth: SurfaceTree, with_scale: bool, rng: np.random.Generator) -> Transform:
    """The transform that lays the prediction on the truth (both metres), by iterated closest points on the surfaces.

    With scale, the prediction's height and the middle of its box are brought to the truth's first, so another unit or origin does no harm; upright it must
    be. Partners are sought in both directions: with one alone, a surface could shrink onto a part of the other. Finds the nearest fit, not the best one:
    a prediction that looks the other way stays so.
    """
    mine = sample_surface(prediction.vertices, prediction.faces, POINTS, rng).points
    theirs = sample_surface(truth.vertices, truth.faces, POINTS, rng).points
    found = _same_height(mine, theirs) if with_scale else Transform(1.0, np.eye(3), np.zeros(3))
    residual = np.inf
    for _ in range(MAX_ITERATIONS):
        on_truth = truth.closest(found.apply(mine))
        on_mine = prediction.closest(found.undo(theirs))
        source, target = np.concatenate([mine, on_mine]), np.concatenate([on_truth, theirs])
        found = fit_points(source, target, with_scale)
        before, residual = residual, float(np.linalg.norm(found.apply(source) - target, axis=1).mean())
        if before - residual < CONVERGED_M:
            break
    return found


def _same_height(mine: Floats, theirs: Floats) -> Transform:
    low, high, true_low, true_high = mine.min(axis=0), mine.max(axis=0), theirs.min(axis=0), theirs.max(axis=0)
    scale = float((true_high - true_low)[1] / max((high - low)[1], 1e-12))
    return Transform(scale, np.eye(3), (true_low + true_high) / 2 - scale * (low + high) / 2)
