"""What a user may want done to a closed surface before it leaves: smoothing that keeps the volume, and fewer triangles."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.surface import neighbour_mean

_SHRINK, _SWELL = 0.5, -0.53  # Taubin 1995: the second step undoes the shrinking of the first


def smooth(vertices: NDArray[np.floating], faces: NDArray[np.integer], rounds: int) -> NDArray[np.float64]:
    """Taubin smoothing. (V, 3) vertices of a closed surface, (F, 3) faces -> (V, 3) moved vertices; each round flattens what is about two edges wide."""
    mean = neighbour_mean(faces, len(vertices))
    moved = np.asarray(vertices, np.float64)
    for _ in range(rounds):
        for step in (_SHRINK, _SWELL):
            moved = moved + step * (mean @ moved - moved)
    return moved


def decimate(vertices: NDArray[np.floating], faces: NDArray[np.integer], count: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Quadric edge collapse (Garland and Heckbert 1997) to at most about `count` triangles. Returns (V', 3), (F', 3); the same mesh where it is small enough.

    libigl's, which refuses every collapse that would glue two sheets together: a closed surface stays closed, as printers want it. Fast-simplification is ten
    times faster and leaves a few edges with four faces.
    """
    if len(faces) <= count:
        return np.asarray(vertices, np.float64), np.asarray(faces, np.int32)
    import igl

    points, corners, _, _ = igl.qslim(np.asfortranarray(vertices, np.float64), np.asfortranarray(faces, np.int32), count)
    return np.ascontiguousarray(points), np.ascontiguousarray(corners, np.int32)
