"""Sides of a surface made fair: what is parallel to the line of sight is seen by nobody, and comes out of the network in the steps of its feature maps.

A pixel-aligned network knows a side by one or two pixels of its maps, 8 to 32 mm wide. Bands along the limbs and plates beside the head are those pixels. A
person's sides are smooth on that scale: among all surfaces near by, the one that bends least. Implicit fairing (Desbrun et al. 1999), by the squared Laplacian.
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
    edge = np.linalg.norm(points[faces] - points[np.roll(faces, -1, axis=1)], axis=2).mean()
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
