"""Inside or outside, by the fast winding number (Barill et al. 2018; design: rendering_and_masks F).

It needs no watertight mesh: overlapping closed parts give numbers above 1, holes only blur it, and duplicate faces do not flip it as they flip ray parity.
"""

import igl
import numpy as np
from numpy.typing import NDArray


class InsideTest:
    """One mesh's inside test; its tree is built once and used for any number of questions.

    Args:
        vertices: (V, 3). faces: (F, 3), counter-clockwise from outside; overlapping parts may simply be concatenated.
    """

    def __init__(self, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> None:
        if len(faces) == 0:
            raise ValueError("an inside test needs at least one face")
        self._tree = igl.FastWindingNumberBVH()
        self._tree.init(np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int64), 2)

    def winding(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) points in the mesh's frame -> (N,) winding numbers: about 0 outside, 1 inside, 2 where two parts overlap."""
        if len(points) == 0:
            return np.zeros(0)
        return np.asarray(self._tree.winding_number(np.ascontiguousarray(points, np.float64), 2.0)).reshape(-1)

    def inside(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N, 3) points -> (N,) bool, winding number > 0.5."""
        return self.winding(points) > 0.5
