"""Views of a near camera, made of an orthographic view and its depth: what photographs are, and renders are not.

A person three metres away is seen from above at the feet and from below at the hat, and a hand that reaches out is large. The network's frame stays
orthographic: it learns people as a near camera warps them, upright and with toes that point down a little, where it would else put the legs behind the body,
the one thing that an orthographic camera sees so.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.depth import JUMP_NDC, spread_depth

Floats = NDArray[np.float32]
NEAREST_NDC = 2.2  # of the camera, about as many metres: the whole person in a phone's picture
SIDE_NDC, LOW_NDC, HIGH_NDC = 0.15, -0.1, 0.8  # where its axis may meet the person: mostly above the middle, as it is held at breast or eye height
ROUNDS = 4  # of looking up the depth where the last round came from
REACH = np.ones((19, 19), np.uint8)  # pixels of the depth maps that a near part may have come further


@dataclass(frozen=True)
class Perspective:
    """A camera in front of the view's origin, `distance_ndc` away, whose axis passes through `axis_ndc` (x, y). Depth stays what it is."""

    distance_ndc: float
    axis_ndc: tuple[float, float] = (0.0, 0.0)

    def points(self, points_ndc: Floats) -> Floats:
        """(N, 3) NDC of the orthographic view -> (N, 3) NDC where this camera sees them."""
        axis = np.array([*self.axis_ndc, 0], np.float32)
        closer = 1 / (1 - points_ndc[:, 2:] / np.float32(self.distance_ndc))
        return ((points_ndc - axis) * np.concatenate([closer, closer, np.ones_like(closer)], axis=1) + axis).astype(np.float32)

    def view(self, color: Floats, coverage: Floats, depth: Floats) -> tuple[Floats, Floats, Floats]:
        """Picture (S, S, 3), coverage (S, S) and depth (L, s, s) of the orthographic view, NaN where there is no surface -> the same of this camera.

        Each layer of depth moves by itself. What comes into sight only now, a strip beside a near limb, is drawn out of what is next to it.
        """
        if np.isnan(depth[0]).all():
            return color, coverage, depth
        filled = spread_depth(depth, np.inf)
        sources = [self._sources(layer, facing=index % 2 == 0) for index, layer in enumerate(filled) if not np.isnan(layer).any()]
        moved = np.full_like(filled, np.nan)  # unknown gaps stay unknown
        for index, source in enumerate(sources):
            moved[index] = _resample(filled[index], source)
        known = cv2.remap(np.isfinite(depth[0]).astype(np.uint8), *_split(sources[0]), cv2.INTER_NEAREST) > 0
        fine = _enlarged(sources[0], coverage.shape[0])
        color, coverage = (cv2.remap(picture, *_split(fine), cv2.INTER_LINEAR) for picture in (color * coverage[..., None], coverage))
        color = np.minimum(color / np.maximum(coverage, np.float32(1 / 255))[..., None], np.float32(255))
        return color, coverage, np.where(known, moved, np.float32(np.nan))

    def _sources(self, depth: Floats, facing: bool) -> Floats:
        """(s, s) depth everywhere -> (s, s, 2) pixel column and row that each pixel of this camera shows.

        Where a near part has come before a far one, two pixels answer: looked for from the nearer depth on, the near one is found (the far one for surfaces not
        `facing` the camera, which are seen from behind). Where it has drawn back none does, and the search swings between both sides: what is left of it is
        the part that was hidden.
        """
        size = len(depth)
        column, row = np.meshgrid(*2 * [np.arange(size, dtype=np.float32)])
        at = np.stack([column, row], axis=-1)
        axis = (np.array([1 + self.axis_ndc[0], 1 - self.axis_ndc[1]], np.float32) * size - 1) / 2
        here = cv2.dilate(depth, REACH) if facing else cv2.erode(depth, REACH)
        source = last = at
        there = here
        for _ in range(ROUNDS):
            last, here = source, there
            source = axis + (at - axis) * (1 - here[..., None] / np.float32(self.distance_ndc))
            there = cv2.remap(depth, *_split(source), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        hidden = here < there if facing else here > there
        return np.where(hidden[..., None], last, source)


def random_perspective(config: AugmentConfig, rng: np.random.Generator) -> Perspective | None:
    """A near camera for the configured share of images, else None: distances from NEAREST_NDC on, evenly in how much they show."""
    if rng.random() >= config.perspective:
        return None
    distance = NEAREST_NDC / max(float(rng.uniform()), 0.05)
    return Perspective(distance, (float(rng.uniform(-SIDE_NDC, SIDE_NDC)), float(rng.uniform(LOW_NDC, HIGH_NDC))))


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
