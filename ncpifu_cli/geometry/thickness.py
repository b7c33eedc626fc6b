"""How much of a person there is along each line of sight, kept where a network is unsure of where it is.

A network that is unsure of a limb's depth spreads it: along the ray the probabilities still add up to the limb's thickness, but none may reach one half,
and at that level the limb is torn. Where it is spread, the level is lowered until as much is inside as the network expects there. Ours.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.special import expit

from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.extract import logit
from ncpifu_cli.geometry.raster import sample_picture
from ncpifu_cli.geometry.sampled_field import Occupancy

COARSE_PX, FINE_PX = 32, 64  # squares over which rays are looked at: first anywhere, then where something was
STEPS = 160  # along a ray, from -1 to 1
COARSE_STEP = 4  # of these, in the first look
ANYTHING = 0.02  # probability
LOWEST = 0.15  # level; a network that believes in less than this believes in nothing there
TOLERANCE = 0.15  # of a thickness: a sharp surface stays where it is
BLUR_PX = 1.0  # of the levels


def keep_thickness(occupancy: Occupancy, coverage: NDArray[np.float32]) -> Occupancy:
    """The same function, raised where at one half it holds less, along a ray and its eight neighbours, than its probabilities add up to.

    Args: occupancy (N, 3) NDC -> (N,) probability; coverage (S, S) 0..1, row 0 on top: what shows the person is looked at.
    """
    found = _probed(occupancy, _shown(coverage, COARSE_PX) > 0, np.ones((COARSE_PX, COARSE_PX, STEPS // COARSE_STEP), bool))
    somewhere = binary_dilation(found > ANYTHING, np.ones((3, 3, 3), bool))
    fine = somewhere.repeat(FINE_PX // COARSE_PX, 0).repeat(FINE_PX // COARSE_PX, 1).repeat(COARSE_STEP, 2)
    shown = _shown(coverage, FINE_PX) > 0.5
    levels = _levels(_probed(occupancy, shown, fine), shown)
    share = gaussian_filter(shown.astype(np.float64), BLUR_PX)
    shift = (gaussian_filter(np.where(shown, logit(levels), 0), BLUR_PX) / np.maximum(share, 1e-3)).astype(np.float32)[..., None]

    def kept(points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        raised = logit(occupancy(points_ndc)) - sample_picture(shift, ndc_to_px(points_ndc, FINE_PX))[:, 0]
        return expit(raised).astype(np.float32)

    return kept


def _shown(coverage: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(size, size) how much of each square shows the person."""
    return np.asarray(cv2.resize(coverage, (size, size), interpolation=cv2.INTER_AREA))


def _probed(occupancy: Occupancy, shown: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(s, s, n) probabilities at the middles of cells of [-1, 1]^3, row 0 on top, nearest last; 0 where not shown (s, s) or not wanted (s, s, n)."""
    size, steps = len(shown), wanted.shape[2]
    row, column, step = np.nonzero(wanted & shown[..., None])
    points = np.column_stack([(2 * column + 1) / size - 1, 1 - (2 * row + 1) / size, (2 * step + 1) / steps - 1])
    probabilities = np.zeros((size, size, steps), np.float32)
    probabilities[row, column, step] = occupancy(points.astype(np.float32))
    return probabilities


def _levels(probabilities: NDArray[np.float32], shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(s, s) levels from LOWEST to 1/2, the highest above which each ray and its neighbours (s, s, n) hold what they add up to, less TOLERANCE."""
    size = len(shown)
    row, column = np.nonzero(shown)
    padded = np.pad(probabilities, ((1, 1), (1, 1), (0, 0)))
    around = np.concatenate([padded[row + down, column + across] for down in range(3) for across in range(3)], axis=1)
    falling = -np.sort(-around, axis=1)
    wanted = np.ceil(falling.sum(axis=1) * (1 - TOLERANCE)).astype(int)
    levels = np.full((size, size), 0.5, np.float32)
    levels[row, column] = np.clip(falling[np.arange(len(row)), np.maximum(wanted - 1, 0)], LOWEST, 0.5)
    return levels
