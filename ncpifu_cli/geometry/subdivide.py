"""Finer triangles where a surface needs them, without a gap to the coarse ones beside them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def split_faces(vertices: Floats, faces: NDArray[np.integer], chosen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Cut each of the `chosen` faces (F,) in four, and their neighbours in as many as their cut edges ask for: red-green refinement (Bank et al. 1983).

    Args: vertices (V, 3) and faces (F, 3) of a closed surface. Returns (V', 3), the old ones first, new ones in the middle of edges, and (F', 3); no face is
    turned over, a closed surface stays closed, and the surface is the same.
    """
    count = len(vertices)
    low, high = np.minimum(faces, np.roll(faces, -1, axis=1)), np.maximum(faces, np.roll(faces, -1, axis=1))
    edges = low.astype(np.int64) * count + high  # (F, 3): from each corner to the next
    cut = np.unique(edges[chosen])
    if len(cut) == 0:
        return np.asarray(vertices, np.float64), np.asarray(faces, np.int32)
    place = np.minimum(np.searchsorted(cut, edges), len(cut) - 1)
    is_cut = cut[place] == edges
    points = np.asarray(vertices, np.float64)
    middles = (points[cut // count] + points[cut % count]) / 2
    cuts = is_cut.sum(axis=1)
    parts = [faces[cuts == 0], _corners(faces[cuts == 3], count + place[cuts == 3], ("apr", "bqp", "crq", "pqr"))]
    for turn in range(3):  # turned so that the first edge is cut, and in the case of two the second one too
        face, middle, has = (np.roll(array, -turn, axis=1) for array in (faces, count + place, is_cut))
        one, two = (cuts == 1) & has[:, 0], (cuts == 2) & has[:, 0] & has[:, 1]
        parts += [_corners(face[one], middle[one], ("apc", "pbc")), _corners(face[two], middle[two], ("apc", "pbq", "pqc"))]
    return np.vstack([points, middles]), np.vstack(parts).astype(np.int32)


def _corners(faces: NDArray[np.integer], middles: NDArray[np.integer], patterns: tuple[str, ...]) -> NDArray[np.integer]:
    """Faces abc (F, 3) with their edges' middles pqr (F, 3), p between a and b -> len(patterns) faces for each, with the named corners."""
    named = dict(zip("abcpqr", (*faces.T, *middles.T), strict=True))
    return np.vstack([np.stack([named[corner] for corner in pattern], axis=1) for pattern in patterns])
