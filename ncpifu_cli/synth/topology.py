"""Quad and triangle meshes as index arrays: subdivision, boundaries, neighbourhoods, normals."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse import csgraph

from ncpifu_cli.geometry import surface

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Subdivision(NamedTuple):
    """One Catmull-Clark step: new vertices = matrix @ old (any per-vertex quantity), quads (4Q, 4)."""

    matrix: sparse.csr_matrix
    quads: Index


def catmull_clark(quads: Index, count: int, smooth: bool = True) -> Subdivision:
    """Subdivide `quads` (Q, 4) over `count` vertices. Open boundaries become cubic curves; `smooth=False` only splits (for UVs and weights).

    New vertices are ordered: old vertices, edge points, face points.
    """
    faces = len(quads)
    face_ids = np.tile(np.arange(faces), 4)
    edges, of_corner, uses = _unique_edges(directed_edges(quads), count)
    edge_ids = np.arange(len(edges))
    face_points = sparse.csr_matrix((np.full(4 * faces, 0.25), (np.repeat(np.arange(faces), 4), quads.ravel())), shape=(faces, count))
    both = (np.r_[edge_ids, edge_ids], edges.T.ravel())
    midpoints = sparse.csr_matrix((np.full(2 * len(edges), 0.5), both), shape=(len(edges), count))
    if smooth:
        border = uses == 1
        edge_faces = sparse.csr_matrix((np.ones(len(of_corner)), (of_corner, face_ids)), shape=(len(edges), faces))
        inner_points = 0.5 * midpoints + 0.25 * (edge_faces @ face_points)
        edge_points = sparse.diags(border * 1.0) @ midpoints + sparse.diags(~border * 1.0) @ inner_points
        vertex_points = _vertex_rule(quads, count, edges, border, face_points, midpoints)
    else:
        edge_points, vertex_points = midpoints, sparse.eye(count)
    matrix = sparse.vstack([vertex_points, edge_points, face_points]).tocsr()
    corner_edges = of_corner.reshape(4, faces).T + count
    centres = np.arange(faces) + count + len(edges)
    split = [np.stack([quads[:, i], corner_edges[:, i], centres, corner_edges[:, (i + 3) % 4]], axis=1) for i in range(4)]
    return Subdivision(matrix, np.concatenate(split))


def _vertex_rule(
    quads: Index, count: int, edges: Index, border: NDArray[np.bool_], face_points: sparse.csr_matrix, midpoints: sparse.csr_matrix
) -> sparse.csr_matrix:
    """Catmull-Clark's rule for old vertices: (F + 2 M + (n - 3) V) / n inside, a quarter of each border neighbour on borders."""
    ones = np.ones(quads.size)
    to_faces = sparse.csr_matrix((ones, (quads.ravel(), np.repeat(np.arange(len(quads)), 4))), shape=(count, len(quads)))
    valence = np.maximum(_row_sums(to_faces), 1)
    ids = np.arange(len(edges))
    to_edges = sparse.csr_matrix((np.ones(2 * len(edges)), (edges.T.ravel(), np.r_[ids, ids])), shape=(count, len(edges)))
    mean_faces = sparse.diags(1 / valence) @ to_faces @ face_points
    mean_edges = sparse.diags(1 / np.maximum(_row_sums(to_edges), 1)) @ to_edges @ midpoints
    inner = sparse.diags(1 / valence) @ (mean_faces + 2 * mean_edges + sparse.diags(np.maximum(valence - 3, 0)))
    on_border = np.zeros(count, bool)
    on_border[edges[border].ravel()] = True
    along = neighbour_mean(edges[border], count)
    curve = 0.75 * sparse.eye(count) + 0.25 * along
    return sparse.diags(~on_border * 1.0) @ inner + sparse.diags(on_border * 1.0) @ curve


def _row_sums(matrix: sparse.csr_matrix) -> Array:
    return np.asarray(matrix.sum(axis=1)).ravel()


def directed_edges(faces: Index) -> Index:
    """(K F, 2) edges of polygons with K corners, in face order, all first edges first."""
    corners = faces.shape[1]
    return np.concatenate([faces[:, [i, (i + 1) % corners]] for i in range(corners)])


def _unique_edges(edges: Index, count: int) -> tuple[Index, Index, Index]:
    ordered = np.sort(edges, axis=1)
    keys, inverse, uses = np.unique(ordered[:, 0].astype(np.int64) * count + ordered[:, 1], return_inverse=True, return_counts=True)
    return np.stack([keys // count, keys % count], axis=1), inverse, uses


def unique_edges(faces: Index) -> Index:
    """(E, 2) undirected edges, sorted."""
    return _unique_edges(directed_edges(faces), int(faces.max()) + 1)[0]


def triangulate(quads: Index) -> Index:
    """(Q, 4) -> (2Q, 3), diagonals alternating from quad to quad so that cloth has no preferred direction."""
    even, odd = quads[0::2], quads[1::2]
    return np.concatenate([even[:, [0, 1, 2]], even[:, [0, 2, 3]], odd[:, [0, 1, 3]], odd[:, [1, 2, 3]]])


def taubin(points: Array, faces: Index, steps: int) -> Array:
    """(V, 3) smoothed without shrinking (Taubin 1995)."""
    mean = neighbour_mean(faces, len(points))
    for _ in range(steps):
        for strength in (0.5, -0.52):
            points = points + strength * (mean @ points - points)
    return points


def submesh(faces: Index, keep: NDArray[np.bool_] | np.bool_) -> tuple[Index, Index]:
    """The kept faces over their own vertices: (faces renumbered, ids of the vertices kept)."""
    kept = faces[keep]
    ids, renumbered = np.unique(kept, return_inverse=True)
    return renumbered.reshape(kept.shape), ids


def largest_component(faces: Index) -> NDArray[np.bool_]:
    """(F,) mask of the faces of the connected component with the most vertices."""
    count = int(faces.max()) + 1
    edges = directed_edges(faces)
    graph = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, component = csgraph.connected_components(graph, directed=False)
    sizes = np.bincount(component[np.unique(faces)])
    return component[faces[:, 0]] == sizes.argmax()


def boundary_edges(faces: Index) -> Index:
    """(B, 2) edges used by one face only, in the direction that face walks them."""
    edges = directed_edges(faces)
    _, inverse, uses = _unique_edges(edges, int(faces.max()) + 1)
    return edges[uses[inverse] == 1]


def boundary_loops(faces: Index) -> list[Index]:
    """Closed chains of boundary vertices, each in walking order."""
    following: dict[int, list[int]] = {}
    for a, b in boundary_edges(faces).tolist():
        following.setdefault(a, []).append(b)
    loops = []
    while following:
        start = current = next(iter(following))
        loop = []
        while current in following:
            loop.append(current)
            step = following[current].pop()
            if not following[current]:
                del following[current]
            current = step
            if current == start:
                break
        loops.append(np.array(loop))
    return loops


def longest_run(flags: NDArray[np.bool_]) -> Index:
    """Indices of the longest cyclic run of True."""
    count = len(flags)
    starts = np.flatnonzero(flags & ~np.roll(flags, 1))
    lengths = [int(np.argmin(np.roll(flags, -start))) for start in starts]
    start, length = max(zip(starts, lengths, strict=True), key=lambda run: run[1])
    return (start + np.arange(length)) % count


def neighbour_mean(faces: Index, count: int) -> sparse.csr_matrix:
    """`geometry.surface.neighbour_mean` as the kind of matrix that is used in this room."""
    return sparse.csr_matrix(surface.neighbour_mean(faces, count))


def vertex_normals(vertices: Array, faces: Index) -> Array:
    """(V, 3) unit normals weighted by triangle area; zero for vertices without area."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, corner], normals[:, axis], len(vertices))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def facing_outwards(vertices: Array, faces: Index) -> Index:
    """Faces of a closed surface, all turned over if it encloses a negative volume."""
    corners = vertices[faces] - vertices.mean(axis=0)
    volume = np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return faces[:, ::-1].copy() if volume < 0 else faces


def straight_triples(quads: Index, count: int) -> Index:
    """(T, 3) vertices i, middle, j that lie on one quad line through a regular inner vertex (valence 4): what bending acts on."""
    centre = quads.T.ravel()
    before = np.concatenate([quads[:, (i - 1) % 4] for i in range(4)])
    after = np.concatenate([quads[:, (i + 1) % 4] for i in range(4)])
    order = np.argsort(centre, kind="stable")
    centre, before, after = centre[order], before[order], after[order]
    valence = np.bincount(centre, minlength=count)
    regular = np.flatnonzero(valence == 4)
    first = np.r_[0, np.cumsum(valence)][:-1][regular]
    slots = first[:, None] + np.arange(4)
    before, after = before[slots], after[slots]
    closed = (np.sort(before, axis=1) == np.sort(after, axis=1)).all(axis=1)  # all four neighbours shared: an inner vertex
    regular, before, after = regular[closed], before[closed], after[closed]
    rows = np.arange(len(regular))
    adjacent = np.broadcast_to(np.eye(4, dtype=bool), (len(regular), 4, 4)).copy()
    for k in range(4):  # corner k spans neighbours before[k] and after[k]; which slot of `after` holds before[k]?
        slot = (after == before[:, [k]]).argmax(axis=1)
        adjacent[rows, slot, k] = adjacent[rows, k, slot] = True
    opposite = (~adjacent).argmax(axis=2)
    second = np.where(opposite[:, 0] == 1, 2, 1)  # a neighbour on the other line
    line_a = np.stack([after[:, 0], regular, after[rows, opposite[:, 0]]], axis=1)
    line_b = np.stack([after[rows, second], regular, after[rows, opposite[rows, second]]], axis=1)
    return np.concatenate([line_a, line_b])
