"""Training augmentation: image, mask and camera change together; a photograph's faults are imitated (method section 10)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.train import AugmentConfig

Image = NDArray[np.float32]
CUT_NDC = (-0.8, 0.05)  # from the ankles to the hips of a subject that stands in the middle


@dataclass(frozen=True)
class Placement:
    """A change of the view within the image plane: flip, then stretch and scale about the centre, then roll, then shift; then what is below a line is cut off.

    Attributes: flip; scale (1); shift_ndc (x right, y up); roll_rad, counter-clockwise; stretch, wider for more than 1 at the same area (1);
        cut_ndc, height of the line (-1, nothing is below).
    """

    flip: bool = False
    scale: float = 1.0
    shift_ndc: tuple[float, float] = (0.0, 0.0)
    roll_rad: float = 0.0
    stretch: float = 1.0
    cut_ndc: float = -1.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 2) that NDC x, y are multiplied by."""
        cos, sin = np.cos(self.roll_rad), np.sin(self.roll_rad)
        across = -self.scale * self.stretch if self.flip else self.scale * self.stretch
        return np.array([[cos, -sin], [sin, cos]]) @ np.diag([across, self.scale / self.stretch])

    def points(self, points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3) NDC -> (N, 3) NDC. Depth scales with the subject."""
        plane = points_ndc[:, :2] @ self.matrix.T + np.asarray(self.shift_ndc)
        return np.column_stack([plane, points_ndc[:, 2] * self.scale]).astype(np.float32)

    def image(self, image: NDArray, interpolation: int = cv2.INTER_LINEAR) -> NDArray:
        """(S, S) or (S, S, 3): the same change in pixels, nothing cut off yet; what comes in from outside is 0."""
        size = image.shape[0]
        # Pixel index j is at NDC (2 j + 1) / S - 1 and rows count downwards: the same map for indices, about the middle index.
        linear = self.matrix * [[1, -1], [-1, 1]]
        middle = np.full(2, (size - 1) / 2)
        offset = middle - linear @ middle + np.array([self.shift_ndc[0], -self.shift_ndc[1]]) * size / 2
        return np.asarray(cv2.warpAffine(image, np.column_stack([linear, offset]), (size, size), flags=interpolation))

    def first_cut_row(self, size_px: int) -> int:
        """The row of a picture from which on everything is cut off; `size_px` where nothing is."""
        return round((1 - self.cut_ndc) / 2 * size_px)

    def kept(self, points_ndc: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(N,): which points (N, 3), as the picture shows them, are not cut off."""
        return points_ndc[:, 1] > self.cut_ndc


def random_placement(config: AugmentConfig, rng: np.random.Generator) -> Placement:
    """Flip, scale, shift, roll, stretch and cut within the configured limits."""
    flip = bool(config.flip and rng.random() < 0.5)
    scale = float(1 + rng.uniform(-config.scale, config.scale))
    shift = rng.uniform(-config.shift_ndc, config.shift_ndc, 2)
    roll = float(np.radians(rng.uniform(-config.roll_deg, config.roll_deg)))
    stretch = float(1 + rng.uniform(-config.stretch, config.stretch))
    cut = float(rng.uniform(*CUT_NDC)) if rng.random() < config.cut else -1.0
    return Placement(flip, scale, (float(shift[0]), float(shift[1])), roll, stretch, cut)


def photographic(rgb: Image, coverage: Image, config: AugmentConfig, rng: np.random.Generator) -> tuple[Image, Image]:
    """Colour, blur, noise, JPEG and mask faults.

    Args: rgb (S, S, 3) 0..255, coverage (S, S) 0..1. Returns both, changed.
    """
    rgb, coverage = _imperfect_mask(rgb, coverage, config, rng)
    rgb = cv2.transform(rgb, _color_matrix(config, np.array(cv2.mean(rgb)[:3]), rng))
    sigma = rng.uniform(0, config.blur_px) if rng.random() < 0.5 else 0.0
    if sigma > 0.2:
        rgb = cv2.GaussianBlur(rgb, (0, 0), sigma)
    if config.noise and rng.random() < 0.5:
        rgb = rgb + rng.standard_normal(rgb.shape, np.float32) * np.float32(255 * rng.uniform(0, config.noise))
    rgb = np.clip(rgb, 0, 255)
    if rng.random() < config.jpeg:
        _, code = cv2.imencode(".jpg", rgb.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
        rgb = cv2.imdecode(code, cv2.IMREAD_COLOR).astype(np.float32)
    return rgb, coverage


def _color_matrix(config: AugmentConfig, middle: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(3, 4): exposure, white balance, saturation and contrast about the picture's mean `middle` (3,), then a turn of the hues, as one affine map of colours.

    One pass over the pixels in place of one for each: the loader is what a GPU waits for.
    """
    matrix, offset = np.eye(3), np.zeros(3)
    if config.color:
        strength = config.color
        matrix = np.diag((1 + strength * 0.4 * rng.uniform(-1, 1, 3)) * (1 + strength * rng.uniform(-1, 1)))
        saturation, contrast = 1 + strength * rng.uniform(-1, 1), 1 + strength * rng.uniform(-1, 1)
        matrix = (saturation * np.eye(3) + (1 - saturation) / 3) @ matrix
        offset = np.full(3, (1 - contrast) * (matrix @ middle).mean())
        matrix = contrast * matrix
    if config.hue_turn and rng.random() >= 0.5:  # clothes of any colour from a limited wardrobe
        angle = 2 * np.pi * rng.uniform(-config.hue_turn, config.hue_turn)
        axis = np.full(3, 1 / np.sqrt(3))  # of greys
        skew = np.cross(np.eye(3), axis)
        turn = (np.cos(angle) * np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * np.outer(axis, axis)).T
        matrix, offset = turn @ matrix, turn @ offset
    return np.column_stack([matrix, offset])


def _imperfect_mask(rgb: Image, coverage: Image, config: AugmentConfig, rng: np.random.Generator) -> tuple[Image, Image]:
    """Grow or shrink the mask, take bites out of it; where it grows, some background shows."""
    if rng.random() >= config.mask:
        return rgb, coverage
    size = coverage.shape[0]
    background = rng.uniform(0, 255, 3).astype(np.float32) + cv2.resize(rng.normal(0, 40, (8, 8, 3)).astype(np.float32), (size, size))
    rgb = rgb * coverage[..., None] + background * (1 - coverage[..., None])
    radius = int(rng.integers(-1, 3)) * max(1, size // 256)
    if radius:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(radius) + 1,) * 2)
        coverage = cv2.dilate(coverage, kernel) if radius > 0 else cv2.erode(coverage, kernel)
    if rng.random() < 0.3:  # a bite at the silhouette
        edge = np.argwhere((coverage > 0.1) & (cv2.erode(coverage, np.ones((5, 5))) < 0.5))
        if len(edge):
            row, column = edge[rng.integers(len(edge))]
            bite = np.ascontiguousarray(coverage)
            cv2.circle(bite, (int(column), int(row)), int(size * rng.uniform(0.005, 0.02)), float(rng.integers(0, 2)), -1)
            coverage = bite
    return rgb, cv2.GaussianBlur(coverage, (3, 3), 0)
