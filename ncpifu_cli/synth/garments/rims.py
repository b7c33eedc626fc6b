"""Edges of cloth with visible thickness: the open rims folded inside."""

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.rotations import unit_rows
from ncpifu_cli.synth.topology import boundary_edges, neighbour_mean, vertex_normals

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LIP_THICKNESS_M, LIP_DEPTH_M = 0.0022, 0.010
LIP_SHADE = 0.75  # the inside is in shadow


def with_lips(vertices: Array, triangles: Index, colors: Array) -> tuple[Array, Index, Array, Index]:
    """Fold every boundary inwards: two more rows of vertices, 2 mm under and 1 cm deep; orientation continues that of the outside.

    Returns (vertices, triangles, colors, origin (V,): the old vertex each new one comes from).
    """
    edges = boundary_edges(triangles)
    rim, corner = np.unique(edges, return_inverse=True)
    a, b = corner.reshape(-1, 2).T
    normals = vertex_normals(vertices, triangles)[rim]
    mean = neighbour_mean(triangles, len(vertices))
    inwards = (mean @ (mean @ (mean @ vertices)) - vertices)[rim]
    tangent = unit_rows(inwards - (inwards * normals).sum(axis=1, keepdims=True) * normals)
    edge_row = vertices[rim] - normals * LIP_THICKNESS_M / 2 - tangent * 0.0008
    deep_row = vertices[rim] - normals * LIP_THICKNESS_M + tangent * LIP_DEPTH_M
    first, second = len(vertices), len(vertices) + len(rim)
    lip = np.concatenate(
        [
            np.stack([edges[:, 1], edges[:, 0], first + a], axis=1),
            np.stack([edges[:, 1], first + a, first + b], axis=1),
            np.stack([first + b, first + a, second + a], axis=1),
            np.stack([first + b, second + a, second + b], axis=1),
        ]
    )
    return (
        np.concatenate([vertices, edge_row, deep_row]),
        np.concatenate([triangles, lip]),
        np.concatenate([colors, colors[rim], colors[rim] * LIP_SHADE]),
        np.concatenate([np.arange(first), rim, rim]),
    )
