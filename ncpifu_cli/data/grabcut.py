"""Person masks without any learned model: a uniform background, a smooth background, a box drawn by the user, a guess (design: rendering_and_masks C2, C3).

All work on sRGB uint8 and return masks on the grid they were given. GrabCut runs at `WORK_SIDE_PX`; a guided filter brings its edge back to full size.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

WORK_SIDE_PX = 480
MAX_NOISE_LAB = 6.0  # frame noise above this: the background is not smooth (measured: good cases 1.5 to 4.8, bad ones 8 to 18)
MIN_INLIERS = 0.85
MARGIN = 0.15  # around a person when looking closely, as a share of their box
Box = tuple[int, int, int, int]  # x, y, width, height in pixels


@dataclass(frozen=True)
class BackgroundFit:
    """A mask found from the background's smoothness.

    Attributes: mask (H, W) bool, empty where it was not worth looking for; noise: robust sigma (Lab) of the frame around the fitted background; inliers: share
    of the frame that the fit explains.
    """

    mask: NDArray[np.bool_]
    noise: float
    inliers: float

    @property
    def trusted(self) -> bool:
        """Both numbers are in the range in which this method was measured to work."""
        return self.noise < MAX_NOISE_LAB and self.inliers > MIN_INLIERS


def uniform_background(rgb: NDArray[np.uint8], share: float = 0.9, tolerance: int = 8) -> NDArray[np.bool_] | None:
    """Mask of what is not the background, where at least `share` of the top, left and right border is one colour (to 3 levels); else None.

    (H, W, 3) uint8 -> (H, W) bool. Small holes within `tolerance` of that colour belong to the person.
    """
    border = np.concatenate([rgb[0], rgb[:, 0], rgb[:, -1]]).astype(np.int16)
    colour = np.median(border, axis=0).astype(np.int16)
    if (np.abs(border - colour).max(axis=1) <= 3).mean() < share:
        return None
    foreground = (np.abs(rgb.astype(np.int16) - colour).max(axis=2) > tolerance).astype(np.uint8)
    reach = 2 * min(2, min(foreground.shape) // 150) + 1  # 5 pixels, which are a leg's width in a tiny picture
    closed = cv2.morphologyEx(foreground, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    return fill_small_holes(closed.astype(bool), 0.002)


def smooth_background(rgb: NDArray[np.uint8], always: bool = False) -> BackgroundFit:
    """GrabCut seeded by the distance to a smooth background that is fitted to the photo's frame (top, left and right strips).

    Works for studios and plain walls, with or without a floor; `trusted` says when it did not. The fit takes a few milliseconds; GrabCut runs only where
    it can be trusted, or `always`.
    """
    small, _ = _shrink(rgb)
    inner = _without_bars(small)
    lab = cv2.cvtColor(small[inner].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    frame = _frame(lab.shape[:2])
    residual = np.linalg.norm(lab - _polynomial(lab, frame), axis=2)
    noise = float(1.4826 * np.median(residual[frame]))
    fit = BackgroundFit(np.zeros(rgb.shape[:2], bool), noise, float((residual[frame] < 4 * max(noise, 1.0)).mean()))
    if not (fit.trusted or always):
        return fit
    mask = np.zeros(small.shape[:2], bool)
    mask[inner] = _unlike_background(small[inner], lab, residual, frame, noise)
    return replace(fit, mask=_enlarge(mask, rgb))


def _unlike_background(
    small: NDArray[np.uint8], lab: NDArray[np.float32], residual: NDArray[np.float32], frame: NDArray[np.bool_], noise: float
) -> NDArray[np.bool_]:
    """GrabCut from the distances (h, w) in Lab to the fitted background."""
    # A floor is as unlike the wall as a person is, but the same from left to right.
    residual = np.minimum(residual, np.linalg.norm(lab - _side_to_side(lab), axis=2))
    labels = np.full(lab.shape[:2], cv2.GC_PR_BGD, np.uint8)
    labels[(residual > max(7.0, 4 * noise)) | _ellipse(lab.shape[:2])] = cv2.GC_PR_FGD
    plain = _opened(residual < max(2.5, 2.5 * float(1.4826 * np.median(residual[frame]))))
    labels[frame | _wall(plain)] = cv2.GC_BGD
    return _grabcut(small, labels)


def _opened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without what is thinner than a stripe on a shirt."""
    radius = max(1, round(0.006 * mask.shape[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel).astype(bool)


def _wall(plain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of `plain` that touch the border, and enclosed ones the size of a gap between arm and trunk; a larger one may be a white shirt."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(plain.astype(np.uint8))
    wall = stats[:, cv2.CC_STAT_AREA] < 0.12 * (~plain).sum()
    wall[np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])] = True
    wall[0] = False
    return wall[parts] if count > 1 else plain


def box_grabcut(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.bool_]:
    """GrabCut inside a box (x, y, width, height in pixels of `rgb`): outside is background, its inner ellipse probably the person."""
    small, factor = _shrink(rgb)
    height, width = small.shape[:2]
    x, y, w, h = (value * factor for value in box)
    left, top, right, bottom = max(0, round(x)), max(0, round(y)), min(width, round(x + w)), min(height, round(y + h))
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[top:bottom, left:right] = cv2.GC_PR_BGD
    labels[_ellipse((height, width), (left, top, right, bottom)) & (labels == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD
    return _enlarge(_grabcut(small, labels), rgb)


def seeded_grabcut(rgb: NDArray[np.uint8], chance: NDArray[np.float32]) -> NDArray[np.bool_]:
    """GrabCut between what is sure: `chance` of a person (any grid over `rgb`) above 0.95 and under 0.05. Returns the mask at `WORK_SIDE_PX`."""
    small, _ = _shrink(rgb)
    chance = cv2.resize(chance, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_LINEAR)
    labels = np.where(chance > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[chance > 0.95], labels[chance < 0.05] = cv2.GC_FGD, cv2.GC_BGD
    return _grabcut(small, labels, rounds=4)


def guess(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """A person somewhere in the middle: never trustworthy, only a draft to be corrected by hand."""
    height, width = rgb.shape[:2]
    box_width = min(0.9 * width, 0.75 * height)
    return box_grabcut(rgb, (round((width - box_width) / 2), round(0.02 * height), round(box_width), round(0.96 * height)))


def fill_small_holes(mask: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Fill holes smaller than `share` of the mask's area."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < share * mask.sum()
    small[0] = False  # label 0 is the mask itself
    return mask | small[labels] if count > 1 else mask


def _shrink(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    factor = min(1.0, WORK_SIDE_PX / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8), factor


def _without_bars(rgb: NDArray[np.uint8]) -> tuple[slice, slice]:
    """What is left without bars of one colour at the borders (letterboxing); everything where that would leave less than a third."""
    window = []
    for axis in (0, 1):
        lines = rgb.swapaxes(0, axis).astype(np.int16)
        plain = (lines.max(axis=1) - lines.min(axis=1)).max(axis=1) <= 3
        busy = np.flatnonzero(~plain)
        length = len(plain)
        window.append(slice(0, length) if len(busy) == 0 or busy[-1] + 1 - busy[0] < length / 3 else slice(int(busy[0]), int(busy[-1]) + 1))
    return window[0], window[1]


def _frame(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Top, left and right strips: 4 % of the width, at least 2 px. A person's feet may stand on the bottom border."""
    strip = max(2, round(0.04 * shape[1]))
    frame = np.zeros(shape, bool)
    frame[:strip] = True
    frame[:, :strip] = True
    frame[:, -strip:] = True
    return frame


def _ellipse(shape: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> NDArray[np.bool_]:
    """Where a standing person probably is, in `box` (left, top, right, bottom; the whole image when None)."""
    left, top, right, bottom = box or (0, 0, shape[1], shape[0])
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    half_width, half_height = max(1.0, min((right - left) * 0.36, (bottom - top) * 0.2)), max(1.0, (bottom - top) * 0.49)
    return ((columns - (left + right) / 2) / half_width) ** 2 + ((rows - (top + bottom) / 2) / half_height) ** 2 < 1


def _polynomial(lab: NDArray[np.float32], frame: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Quadratic in x and y per Lab channel, fitted to the frame by reweighted least squares."""
    height, width = frame.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    rows, values = basis[frame], lab[frame]
    weight = np.ones(len(rows), np.float32)
    for _ in range(8):
        root = np.sqrt(weight)[:, None]
        coefficients = np.linalg.lstsq(rows * root, values * root, rcond=None)[0]
        distance = np.linalg.norm(values - rows @ coefficients, axis=1)
        sigma = max(1.4826 * float(np.median(distance)), 0.5)
        weight = 1 / (1 + (distance / (2 * sigma)) ** 2) ** 2
    return basis @ coefficients


def _side_to_side(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row blends from the median colour of its left strip to that of its right strip (after a median over five rows)."""
    height, width = lab.shape[:2]
    strip = max(2, round(0.04 * width))
    ends = [cv2.medianBlur(np.median(side, axis=1, keepdims=True).astype(np.float32), 5) for side in (lab[:, :strip], lab[:, -strip:])]
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    return ends[0].reshape(height, 1, 3) * (1 - x) + ends[1].reshape(height, 1, 3) * x


def _grabcut(rgb: NDArray[np.uint8], labels: NDArray[np.uint8], rounds: int = 6) -> NDArray[np.bool_]:
    """Run OpenCV's GrabCut from `labels`; an all-background answer where there is nothing to separate."""
    if not np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).any() or not np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        return np.zeros(labels.shape, bool)
    cv2.setRNGSeed(0)  # its k-means starts at random: the same photo must give the same mask
    result = labels.copy()
    cv2.grabCut(np.ascontiguousarray(rgb[..., ::-1]), result, None, np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(result, (cv2.GC_FGD, cv2.GC_PR_FGD))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    return fill_small_holes(opened.astype(bool), 0.002)


def _enlarge(mask: NDArray[np.bool_], rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mask at working size -> mask of `rgb`'s size whose edge follows the photo's."""
    return mask if mask.shape == rgb.shape[:2] else guided_upsample(mask.astype(np.float32), rgb) > 0.5


def guided_upsample(coarse: NDArray[np.float32], rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A coarse alpha on the size of `rgb` (H, W), its edge moved to that of the photo (guided filter on grey, He et al. 2010); 0..1."""
    height, width = rgb.shape[:2]
    radius = max(2, round(2 * max(height, width) / max(coarse.shape)))
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    window = (2 * radius + 1, 2 * radius + 1)
    guide = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    mean, mean_alpha = cv2.blur(guide, window), cv2.blur(coarse, window)
    slope = (cv2.blur(guide * coarse, window) - mean * mean_alpha) / (cv2.blur(guide * guide, window) - mean * mean + 1e-3)
    offset = mean_alpha - slope * mean
    return np.clip(cv2.blur(slope, window) * guide + cv2.blur(offset, window), 0, 1)


def grown_box(box: Box, share: float, shape: tuple[int, ...]) -> Box:
    """The box with a margin of `share` of its longer side, clipped to `shape` (H, W)."""
    margin = round(share * max(box[2:]))
    left, top = max(0, box[0] - margin), max(0, box[1] - margin)
    return left, top, min(shape[1], box[0] + box[2] + margin) - left, min(shape[0], box[1] + box[3] + margin) - top
