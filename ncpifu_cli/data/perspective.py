"""Views of a near camera, made of an orthographic view and its depth: what photographs are, and renders are not.

A person three metres away is seen from above at the feet and from below at the hat, and a hand that reaches out is large. The network's frame stays
orthographic: it learns people as a near camera warps them, upright and with toes that point down a little, where it would else put the legs behind the body,
the one thing that an orthographic camera sees so.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.depth import JUMP_NDC, LAYERS, spread_depth
from ncpifu_cli.data.network_input import true_colours

Floats = NDArray[np.float32]
Real = TypeVar("Real", bound=np.floating)
NEAREST_NDC = 2.2  # of the camera, about as many metres: the whole person in a phone's picture
SIDE_NDC, LOW_NDC, HIGH_NDC = 0.15, -0.1, 0.8  # where its axis may meet the person: mostly above the middle, as it is held at breast or eye height
FURTHEST_NEARNESS = 0.02  # of the camera, 1 / NDC: beyond 50 m nothing is warped that anybody could see
ROUNDS = 4  # of looking up the depth where the last round came from


@dataclass(frozen=True)
class Perspective:
    """A camera in front of the view's origin, `distance_ndc` away (inf: orthographic), whose axis passes through `axis_ndc` (x, y). Depth stays what it is."""

    distance_ndc: float
    axis_ndc: tuple[float, float] = (0.0, 0.0)

    @property
    def is_orthographic(self) -> bool:
        """Whether this camera warps nothing."""
        return math.isinf(self.distance_ndc)

    @property
    def parameters(self) -> NDArray[np.float64]:
        """(3,) n, n a_x, n a_y: n = 1 / distance, and where the axis a meets the person times that. What networks are asked for: 0 is orthographic, and where
        a point p' of the picture is, p = p' - z (n p' - n a), is linear in them."""
        return np.array([1, *self.axis_ndc]) / self.distance_ndc

    @classmethod
    def from_parameters(cls, parameters: NDArray[np.floating]) -> "Perspective":
        """The camera of `parameters` (3,), of those that networks learn: no nearer, its axis where cameras are held; orthographic where it is far away."""
        nearness = min(float(parameters[0]), 1 / NEAREST_NDC)
        if nearness < FURTHEST_NEARNESS:
            return ORTHOGRAPHIC
        x, y = (float(parameter) / nearness for parameter in parameters[1:])
        return cls(1 / nearness, (min(max(x, -SIDE_NDC), SIDE_NDC), min(max(y, LOW_NDC), HIGH_NDC)))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 4) P: (x w, y w, w) = P (x, y, z, 1), as `points` projects."""
        nearness, x, y = self.parameters
        return np.array([[1, 0, -x, 0], [0, 1, -y, 0], [0, 0, -nearness, 1]])

    def undone(self, points_ndc: NDArray[np.floating]) -> NDArray[np.float64]:
        """Inverse of `points`: (N, 3) NDC where this camera sees them -> (N, 3) NDC where they are."""
        points = np.asarray(points_ndc, np.float64)
        axis = np.array([*self.axis_ndc, 0])
        further = 1 - points[:, 2:] / self.distance_ndc
        return (points - axis) * np.concatenate([further, further, np.ones_like(further)], axis=1) + axis

    def points(self, points_ndc: NDArray[Real]) -> NDArray[Real]:
        """(N, 3) NDC of the orthographic view -> (N, 3) NDC where this camera sees them."""
        if self.is_orthographic:
            return points_ndc
        axis = np.array([*self.axis_ndc, 0], points_ndc.dtype)
        closer = 1 / (1 - points_ndc[:, 2:] / points_ndc.dtype.type(self.distance_ndc))
        return (points_ndc - axis) * np.concatenate([closer, closer, np.ones_like(closer)], axis=1) + axis

    def view(self, color: Floats, coverage: Floats, depth: Floats) -> tuple[Floats, Floats, Floats]:
        """Picture (S, S, 3), coverage (S, S) and depth (L, s, s) of the orthographic view, NaN where there is no surface -> the same of this camera.

        Each surface moves by itself. What comes into sight only now, a strip beside a near limb, is drawn out of what is next to it. The front must be known
        somewhere; layers that are known nowhere stay so.
        """
        if self.is_orthographic:
            return color, coverage, depth
        filled = spread_depth(depth, np.inf)
        front, back = self._sources(filled[0], nearest=True), self._sources(filled[1], nearest=False)
        moved = [_resample(filled[0], front), _resample(filled[1], back)]
        moved[1] = np.minimum(moved[1], moved[0])
        if len(filled) == LAYERS:
            moved += self._gap(filled, moved[0], moved[1])
        known = cv2.remap(np.isfinite(depth[0]).astype(np.uint8), *_split(front), cv2.INTER_NEAREST) > 0
        fine = _enlarged(front, len(coverage))
        color, coverage = (cv2.remap(picture, *_split(fine), cv2.INTER_LINEAR) for picture in (color * coverage[..., None], coverage))
        return true_colours(color, coverage), coverage, np.where(known, np.stack(moved), np.float32(np.nan))

    def _gap(self, depth: Floats, front: Floats, back: Floats) -> list[Floats]:
        """Begin and end (s, s) of the gap of the orthographic layers `depth`, between this camera's front and back; the middle where there is none.

        Begin is the back of what is near and end the front of what is far. Beside the gap both are all that is there; so each goes on, and may be found, where
        the other has not moved to.
        """
        if np.isnan(depth[2]).any():
            return [depth[2], depth[3]]
        gap = depth[2] > depth[3]
        near_back, far_front = np.where(gap, depth[2], depth[1]), np.where(gap, depth[3], depth[0])
        begin = _resample(near_back, self._sources(near_back, nearest=True)).clip(back, front)
        end = _resample(far_front, self._sources(far_front, nearest=False)).clip(back, front)
        none, middle = begin <= end, (front + back) / np.float32(2)
        return [np.where(none, middle, begin), np.where(none, middle, end)]

    def _sources(self, depth: Floats, nearest: bool) -> Floats:
        """(s, s) depth everywhere -> (s, s, 2) pixel column and row that each pixel of this camera shows.

        Where a near part has come before a far one, two pixels answer: looked for from the nearer depth on, the `nearest` is found, else the furthest, as back
        surfaces are seen from behind. Where it has drawn back none does, and the search swings between both sides: taken is the part that was hidden.
        """
        size = len(depth)
        column, row = np.meshgrid(*2 * [np.arange(size, dtype=np.float32)])
        at = np.stack([column, row], axis=-1)
        axis = (np.array([1 + self.axis_ndc[0], 1 - self.axis_ndc[1]], np.float32) * size - 1) / 2
        # As far as anything may have come: from the border that is furthest from the axis, at the depth that is furthest from the middle.
        shift = float(np.abs(depth).max()) / self.distance_ndc * (1 + float(np.abs(self.axis_ndc).max())) * size / 2
        around = np.ones((2 * min(math.ceil(shift), size // 4) + 1,) * 2, np.uint8)
        here = there = cv2.dilate(depth, around) if nearest else cv2.erode(depth, around)
        source = last = at
        for _ in range(ROUNDS):
            last, here = source, there
            source = axis + (at - axis) * (1 - here[..., None] / np.float32(self.distance_ndc))
            there = cv2.remap(depth, *_split(source), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        hidden = here < there if nearest else here > there
        return np.where(hidden[..., None], last, source)


ORTHOGRAPHIC = Perspective(math.inf)


def random_perspective(config: AugmentConfig, rng: np.random.Generator) -> Perspective:
    """A near camera for the configured share of images, else an orthographic one: distances from NEAREST_NDC on, evenly in how much they show."""
    return near_camera(max(rng.uniform(), 0.05), rng) if rng.random() < config.perspective else ORTHOGRAPHIC


def near_camera(nearness: float, rng: np.random.Generator) -> Perspective:
    """A camera at 1 / `nearness` times NEAREST_NDC, its axis anywhere that people hold one."""
    return Perspective(NEAREST_NDC / nearness, (rng.uniform(-SIDE_NDC, SIDE_NDC), rng.uniform(LOW_NDC, HIGH_NDC)))


def _resample(layer: Floats, source: Floats) -> Floats:
    """Interpolated on a surface, by the nearest pixel where it jumps: nothing is between a near and a far leg."""
    linear, nearest = (cv2.remap(layer, *_split(source), how, borderMode=cv2.BORDER_REPLICATE) for how in (cv2.INTER_LINEAR, cv2.INTER_NEAREST))
    return np.where(np.abs(linear - nearest) < JUMP_NDC, linear, nearest)


def _enlarged(source: Floats, size: int) -> Floats:
    """Pixel coordinates (s, s, 2) of a small picture as (size, size, 2) of a larger one."""
    scale = size / len(source)
    return cv2.resize((source + 0.5) * scale - 0.5, (size, size), interpolation=cv2.INTER_LINEAR)


def _split(source: Floats) -> tuple[Floats, Floats]:
    return np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
