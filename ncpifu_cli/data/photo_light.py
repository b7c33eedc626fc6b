"""True colours of a whole surface as a photo would show them, if it saw them: what the back network learns."""

import numpy as np
from numpy.typing import NDArray

RIDGE = np.diag([0.01, 0.01, 0.01, 0.1])  # clothes of one colour do not tell what the light does to others: little, and rather by a gain than an offset


def in_photo_light(albedo: NDArray[np.floating], photo: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Colours without light (N, 3) -> colours in the photo's mean light, exposure and tint (N, 3), all sRGB 0..1.

    The affine map that takes the albedo of the points that are `seen` (N,) to the `photo`'s colours (N, 3) there, by least squares; the identity where none is.
    """
    known = np.column_stack([albedo[seen], np.ones(int(seen.sum()))])
    unchanged = np.eye(4, 3)
    ridge = RIDGE * max(len(known), 1)
    change = np.linalg.solve(known.T @ known + ridge, known.T @ photo[seen] + ridge @ unchanged)
    return np.clip(np.column_stack([albedo, np.ones(len(albedo))]) @ change, 0, 1).astype(np.float32)
