"""Surfaces made fair, their sides and the ground of their relief.

What is parallel to the line of sight is seen by nobody, and comes out of the network in the steps of its feature maps: a pixel-aligned network knows a side by
one or two pixels of its maps, 8 to 32 mm wide. Bands along the limbs and plates beside the head are those pixels. A person's sides are smooth on that scale:
among all surfaces near by, the one that bends least. Implicit fairing (Desbrun et al. 1999), by the squared Laplacian.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags_array
from scipy.sparse.linalg import cg

from ncpifu_cli.geometry.finish import smooth
from ncpifu_cli.geometry.mesh_health import move_uncrossed
from ncpifu_cli.geometry.surface import neighbour_mean, vertex_normals

Floats = NDArray[np.floating]

REACH_NDC = 0.02  # what is narrower than about six times this is flattened
SIDE, FRONT = 0.45, 0.75  # |n_z| of a side, and of what is seen from the front or the back and stays as it is
MOST_NDC = 0.008  # a vertex moves by about a pixel of a 256 px picture at most, so that outlines stay
STEADY = 10  # rounds of smoothing before normals are asked what is a side
SHAPING, SHARE = 3, 0.5  # rounds that give triangles their shape, and how far a vertex moves in each
SLANT, FACING = 0.25, 0.6  # |n_z| of what is no ground for relief, and of what is for sure
EVEN_NDC, MOST_ROUNDS = 0.03, 40  # what is narrower than about twice this goes, fewer rounds where edges are longer


def fair_sides(vertices_ndc: Floats, faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """(V, 3) vertices of a closed surface, z along the line of sight, and (F, 3) faces -> (V, 3), the sides moved.

    The minimum of |x - x_0|^2 + w (REACH_NDC / edge)^4 |L x|^2, L the vertex less the mean of its neighbours, and w from 0 in front and at the back to 1 at the
    sides. Faces that would come to cut through others stay.
    """
    points = np.asarray(vertices_ndc, np.float64)
    mean = neighbour_mean(faces, len(points))
    facing = np.abs(vertex_normals(smooth(points, faces, STEADY), faces)[:, 2])
    weight = mean @ np.clip((FRONT - facing) / (FRONT - SIDE), 0, 1)
    free = np.flatnonzero(weight)
    edge = _edge(points, faces)
    laplacian = (diags_array(np.ones(len(points))) - mean).tocsr()[free]
    bend = diags_array(np.sqrt(weight[free]) * (REACH_NDC / edge) ** 2) @ laplacian
    stiff = (bend.T @ bend).tocsr()
    pull = -(stiff[free] @ points)
    system = (stiff[free][:, free] + diags_array(np.ones(len(free)))).tocsr()
    inverse = diags_array(1 / system.diagonal())
    moves = np.zeros_like(points)
    for axis in range(3):
        moves[free, axis] = cg(system, pull[:, axis], rtol=1e-3, maxiter=1000, M=inverse)[0]
    length = np.linalg.norm(moves, axis=1, keepdims=True)
    return move_uncrossed(points, moves * MOST_NDC * np.tanh(length / MOST_NDC) / np.maximum(length, 1e-12), faces)


def fair_ground(vertices_ndc: Floats, faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """(V, 3) vertices of a closed surface, z along the line of sight, and (F, 3) faces -> (V, 3), ready for a relief that comes from normals (`refine`).

    First vertices move along the surface: marching cubes leaves slivers, which turn to cracks when they are moved. Then front and back lose what unevenness
    the network gave them, along z, so that outlines stay; as much as that moves a whole limb is given back. Normals know both better: where the ground is
    rough its slope hides them.
    """
    start = np.asarray(vertices_ndc, np.float64)
    mean = neighbour_mean(faces, len(start))
    points = start
    for _ in range(SHAPING):
        normals, step = vertex_normals(points, faces), mean @ points - points
        points = points + SHARE * (step - normals * (normals * step).sum(axis=1, keepdims=True))
    steady = vertex_normals(points, faces).astype(np.float64)
    for _ in range(STEADY):
        steady = mean @ steady
    facing = np.abs(steady[:, 2]) / np.maximum(np.linalg.norm(steady, axis=1), 1e-12)
    ground = np.clip((facing - SLANT) / (FACING - SLANT), 0, 1)
    rounds = min(MOST_ROUNDS, max(1, round((EVEN_NDC / _edge(points, faces)) ** 2)))
    depth = points[:, 2].copy()
    for _ in range(rounds):
        depth += SHARE * ground * (mean @ depth - depth)
    moved = limbs = depth - points[:, 2]
    for _ in range(rounds):
        limbs = limbs + SHARE * (mean @ limbs - limbs)
    return move_uncrossed(start, points - start + (moved - limbs)[:, None] * (0, 0, 1), faces)


def _edge(points: NDArray[np.float64], faces: NDArray[np.integer]) -> float:
    return float(np.linalg.norm(points[faces] - points[np.roll(faces, -1, axis=1)], axis=2).mean())
