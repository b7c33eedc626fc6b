"""Fine shape from normals: a surface keeps its coarse form and takes its relief from the normals that each side is seen with.

After Nehab et al. 2005, "Efficiently combining positions and normals for precise 3D geometry", with displacements along the line of sight alone: x and y, and
so the outline, stay. Each edge of the mesh should be at right angles to the normal in its middle; vertices should stay where they are. Both are linear in the
displacements: one sparse system, symmetric and positive.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import cg

from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.raster import RasterBuffer, rasterise
from ncpifu_cli.geometry.surface import vertex_normals

Floats = NDArray[np.floating]

REACH_NDC = 0.05  # relief narrower than about six times this comes from the normals, what is wider from the surface
SMOOTH = 0.03  # weight of "neighbours move alike" where no normal is known
MOST_NDC = 0.025  # a vertex moves by at most so much, and by at most THIN of what is behind it
THIN = 0.25
SLANT = 0.25  # normals are believed where normal and surface face the camera by more than this cosine
DEPTH_TOLERANCE_NDC = 0.01


def refine(vertices_ndc: Floats, faces: NDArray[np.integer], front: Floats, back: Floats) -> NDArray[np.float64]:
    """Move the vertices along z until the surface has the relief of the normal maps.

    Args:
        vertices_ndc: (V, 3), faces: (F, 3) of a closed surface. front, back: (S, S, 3) unit normals of what is seen first and last along each pixel's line of
            sight, z towards the camera, so positive in front and negative at the back; 0 where nothing is known.

    Returns (V, 3). Vertices that neither side sees move with their neighbours.
    """
    points = np.asarray(vertices_ndc, np.float64)
    own = vertex_normals(points, faces)
    size = front.shape[0]
    nearest = rasterise(points, faces, size)
    furthest = rasterise(points * (1, 1, -1), faces, size)
    wanted, belief = np.zeros_like(points), np.zeros(len(points))
    for normals, seen, facing in ((front, _seen(points, nearest), own[:, 2]), (back, _seen(points * (1, 1, -1), furthest), -own[:, 2])):
        at = seen & (facing > SLANT)
        found = _lookup(normals, points[at])
        length = np.linalg.norm(found, axis=1)
        wanted[at] = found / np.maximum(length, 1e-6)[:, None]
        facing_both = np.minimum(np.abs(wanted[at, 2]), facing[at])
        belief[at] = np.clip((facing_both - SLANT) / (0.6 - SLANT), 0, 1) * (length > 0.5)
    moves = _solve(points, faces, wanted, belief)
    thickness = _lookup(np.where(nearest.mask & furthest.mask, nearest.depth_ndc + furthest.depth_ndc, 0)[..., None], points)[:, 0]
    limit = np.minimum(MOST_NDC, THIN * np.maximum(thickness, 0.004))
    moved = points.copy()
    moved[:, 2] += limit * np.tanh(moves / limit)
    return moved


def _solve(points: NDArray[np.float64], faces: NDArray[np.integer], wanted: NDArray[np.float64], belief: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) displacements d along z: minimum of the sums over edges ij of b (n . (x_j - x_i) + n_z (d_j - d_i))^2 / n_z^2, and over vertices of d_i^2."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    start, end = start[start < end], end[start < end]  # a closed surface has every edge in both directions
    step = points[end] - points[start]
    normal = wanted[start] + wanted[end]
    trust = np.minimum(belief[start], belief[end])
    slope = np.zeros(len(start))
    known = trust > 0
    slope[known] = -(normal[known, 0] * step[known, 0] + normal[known, 1] * step[known, 1]) / normal[known, 2] - step[known, 2]
    weight = trust + SMOOTH
    count = len(points)
    length = np.median(np.linalg.norm(step, axis=1))
    keep = (length / REACH_NDC) ** 2  # in units of an edge's weight: the width of relief does not depend on the mesh
    links = coo_array((weight, (start, end)), shape=(count, count)).tocsr()
    links = links + links.T
    system = diags_array(links.sum(axis=1) + keep) - links
    pull = weight * np.where(known, slope, 0) * (trust / weight)
    right = np.bincount(end, pull, count) - np.bincount(start, pull, count)
    inverse = diags_array(1 / system.diagonal())
    solution, _ = cg(system, right, rtol=1e-3, maxiter=400, M=inverse)
    return solution


def _seen(points: NDArray[np.float64], buffer: RasterBuffer) -> NDArray[np.bool_]:
    """(V,) whether nothing lies before the points."""
    size = len(buffer.face_id)
    columns, rows = np.clip(np.floor(ndc_to_px(points, size)).astype(int), 0, size - 1).T
    return buffer.mask[rows, columns] & (points[:, 2] >= buffer.depth_ndc[rows, columns] - DEPTH_TOLERANCE_NDC)


def _lookup(image: Floats, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, C) bilinear values of (S, S, C) at the points' pixels."""
    size = image.shape[0]
    at = np.clip(ndc_to_px(points, size) - 0.5, 0, size - 1.001)
    low = np.floor(at).astype(int)
    (x, y), (fx, fy) = low.T, (at - low).T[..., None]
    return (image[y, x] * (1 - fx) + image[y, x + 1] * fx) * (1 - fy) + (image[y + 1, x] * (1 - fx) + image[y + 1, x + 1] * fx) * fy
