"""Inside or outside, by the fast winding number (Barill et al. 2018; design: rendering_and_masks F).

It needs no watertight mesh: overlapping closed parts give numbers above 1, holes only blur it, and duplicate faces do not flip it as they flip ray parity.
"""

import igl
import numpy as np
from numpy.typing import NDArray

_GRID = 40  # cells along the longest side, for the order of the questions
_ACCURACY = 1.5  # 2 is the paper's; 1.5 is twice as fast and gave not one different label in 20 000 points near a clothed human (1.2: three)


class InsideTest:
    """One mesh's inside test; its tree is built once and used for any number of questions.

    Args:
        vertices: (V, 3). faces: (F, 3), counter-clockwise from outside; overlapping parts may simply be concatenated.
    """

    def __init__(self, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> None:
        if len(faces) == 0:
            raise ValueError("an inside test needs at least one face")
        self._low = np.min(vertices, axis=0).astype(np.float64)
        self._cell = max(float(np.ptp(vertices, axis=0).max()), 1e-12) / _GRID
        self._tree = igl.FastWindingNumberBVH()
        self._tree.init(np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(faces, np.int64), 2)

    def winding(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 3) points in the mesh's frame -> (N,) winding numbers: about 0 outside, 1 inside, 2 where two parts overlap; to 0.02."""
        if len(points) == 0:
            return np.zeros(0)
        queries = np.ascontiguousarray(points, np.float64)
        # Neighbours walk through the same branches of the tree: asked one after the other they find them in the cache, twice as fast.
        cell = np.floor((queries - self._low) / self._cell).clip(0, _GRID - 1).astype(np.int64) @ (_GRID * _GRID, _GRID, 1)
        order = np.argsort(cell, kind="stable")
        numbers = np.empty(len(queries))
        numbers[order] = np.asarray(self._tree.winding_number(queries[order], _ACCURACY)).reshape(-1)
        return numbers

    def inside(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N, 3) points -> (N,) bool, winding number > 0.5."""
        return self.winding(points) > 0.5
