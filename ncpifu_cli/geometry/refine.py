"""Fine shape from normals: a surface keeps its coarse form and takes its relief from the normals that each side is seen with.

After Nehab et al. 2005, "Efficiently combining positions and normals for precise 3D geometry", with displacements along the line of sight alone: x and y, and
so the outline, stay. Each triangle should be at right angles to the normal seen there; vertices should stay where they are. Both are linear in the
displacements: one sparse system, symmetric and positive.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import cg

from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.mesh_health import move_uncrossed
from ncpifu_cli.geometry.raster import rasterise, sample_picture
from ncpifu_cli.geometry.surface import face_normals, vertex_normals

Floats = NDArray[np.floating]

REACH_NDC = 0.04  # relief narrower than about six times this (twelve times in three passes) comes from the normals, what is wider from the surface
PASSES = 3  # a surface that faces its normals better has more of them believed
MOST_NDC = 0.025  # in a pass a vertex moves by at most so much, and by at most THIN of what is behind it
THIN = 0.25
THINNEST_NDC = 0.004
LEAST_AREA = 1e-3  # of a middling triangle: narrower ones count as this wide
TINY = 1e-12
SLANT, SURE = 0.25, 0.6  # normals are believed where normal and surface face their side by more than the first cosine, fully from the second on
DEPTH_TOLERANCE_NDC = 0.01


def refine(vertices_ndc: Floats, faces: NDArray[np.integer], front: Floats, back: Floats, step_free: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
    """Move the vertices along z until the surface has the relief of the normal maps.

    Args:
        vertices_ndc: (V, 3), faces: (F, 3) of a closed surface. front, back: (S, S, 3) unit normals of what is seen first and last along each pixel's line of
            sight, z towards the camera, so positive in front and negative at the back; 0 where nothing is known.
        step_free: (S, S) 0..1, where normals in front are believed although the surface turns away: steps that it has there and they have not are its errors.

    Returns (V, 3). Vertices that neither side sees move with their neighbours.
    """
    points = np.asarray(vertices_ndc, np.float64)
    for _ in range(PASSES):
        points = _carved(points, faces, front, back, step_free)
    return points


def _carved(points: NDArray[np.float64], faces: NDArray[np.integer], front: Floats, back: Floats, step_free: NDArray[np.float32] | None) -> NDArray[np.float64]:
    """One pass of `refine`."""
    own = vertex_normals(points, faces)
    size = front.shape[0]
    pixels = ndc_to_px(points, size)
    nearest, furthest = rasterise(points, faces, size), rasterise(points * (1, 1, -1), faces, size)
    wanted, belief = np.zeros_like(points), np.zeros(len(points))
    free = 0.0 if step_free is None else sample_picture(step_free[..., None], pixels)[:, 0]
    for normals, buffer, side, lenient in ((front, nearest, 1, SLANT * free), (back, furthest, -1, 0.0)):
        turned = side * own[:, 2] + lenient
        at = np.flatnonzero((turned > SLANT) & buffer.seen(points * (1, 1, side), DEPTH_TOLERANCE_NDC))
        found = sample_picture(normals, pixels[at])
        length = np.linalg.norm(found, axis=1)
        wanted[at] = found / np.maximum(length, 1e-6)[:, None]
        facing = np.minimum(side * wanted[at, 2], turned[at])
        belief[at] = np.clip((facing - SLANT) / (SURE - SLANT), 0, 1) * (length > 0.5)
    moves = _solve(points, faces, wanted, belief)
    between = np.where(nearest.mask & furthest.mask, nearest.depth_ndc + furthest.depth_ndc, 0)
    thickness = sample_picture(between[..., None], pixels)[:, 0]
    limit = np.minimum(MOST_NDC, THIN * np.maximum(thickness, THINNEST_NDC))
    return move_uncrossed(points, (limit * np.tanh(moves / limit))[:, None] * (0, 0, 1), faces)


def _solve(points: NDArray[np.float64], faces: NDArray[np.integer], wanted: NDArray[np.float64], belief: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) displacements d along z: the minimum over the surface, in linear finite elements, of

        b |grad (d - s)|^2 + (1 - b) |grad d|^2 + (d / REACH_NDC)^2,

    where s, linear on each triangle, turns it to the wanted normal n: n . (x_j - x_i) + n_z (s_j - s_i) = 0 along its edges. Triangles weigh by size and shape
    (cotangents): marching cubes' are small and narrow in strips along the grid, and weights that follow the strips leave rings like those of wood wherever the
    wanted normals are those of no surface. Where no normal is believed, neighbours move alike, with all the weight that normals have elsewhere: with little of
    it relief ended within millimetres, in a ridge from crown to neck.
    """
    normal, side = wanted[faces].sum(axis=1), np.sign(wanted[faces, 2])
    known = (belief[faces] > 0).all(axis=1) & (side == side[:, :1]).all(axis=1)  # between front and back there is no normal
    trust = np.where(known, belief[faces].min(axis=1), 0)[:, None]
    slope = np.zeros((len(faces), 2))
    slope[known] = -normal[known, :2] / normal[known, 2:]
    _, area = face_normals(points, faces)
    # (F, 3, ...): each corner and the edge opposite to it, from `start` to `end`
    start, end = np.roll(faces, -1, axis=1), np.roll(faces, -2, axis=1)
    step = points[end] - points[start]
    cosine = ((points[start] - points[faces]) * (points[end] - points[faces])).sum(axis=2)
    half_cotangent = cosine / (4 * np.maximum(area, LEAST_AREA * np.median(area)))[:, None]
    lacking = np.where(known[:, None], (slope[:, None] * step[..., :2]).sum(axis=2) - step[..., 2], 0)
    count = len(points)
    links = coo_array((half_cotangent.ravel(), (start.ravel(), end.ravel())), shape=(count, count)).tocsr()
    links = links + links.T
    keep = np.bincount(faces.ravel(), np.repeat(area / 3, 3), count) / REACH_NDC**2
    system = diags_array(links.sum(axis=1) + keep) - links
    pull = (half_cotangent * trust * lacking).ravel()
    right = np.bincount(end.ravel(), pull, count) - np.bincount(start.ravel(), pull, count)
    solution, _ = cg(system, right, rtol=1e-3, maxiter=400, M=diags_array(1 / np.maximum(system.diagonal(), TINY)))
    return np.asarray(solution)
