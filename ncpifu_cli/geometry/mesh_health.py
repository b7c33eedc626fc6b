"""What is wrong with a mesh before anything is compared: holes, parts, self-intersections, what makes it impossible to score; and moves without it."""

import itertools
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.surface import face_components, face_normals, neighbour_mean

Floats = NDArray[np.floating]

STRIP_FACES, MOST_STRIPS = 4, 1024  # width of a strip in mean faces, and how many strips at most, when crossing faces are searched
MOST_CELLS = 128  # along an axis, where faces near others are searched
BACK_TRIES, BACK_RINGS, BACK_SHARE = 8, 2, 0.6  # moved faces that cut through each other: how often, how widely and how far they go back


@dataclass(frozen=True)
class MeshHealth:
    """What a mesh looks like.

    Attributes:
        vertices, faces: their numbers (after merging vertices at exactly the same place). components: parts connected through faces.
        watertight: every edge has two faces that run along it in opposite directions.
        crossing_faces: faces that cut through another one (neighbours that share a corner are not tested).
        problem: why the mesh cannot be scored ("" when it can): empty, not finite, without area, or faces that name missing vertices.
    """

    vertices: int = 0
    faces: int = 0
    components: int = 0
    watertight: bool = False
    crossing_faces: int = 0
    problem: str = ""


def mesh_health(vertices: Floats, faces: NDArray[np.integer]) -> MeshHealth:
    """Check (V, 3) vertices and (F, 3) faces; never raises on broken meshes."""
    problem = mesh_problem(vertices, faces)
    if problem:
        return MeshHealth(len(vertices), len(faces), problem=problem)
    corners = _merged(vertices, faces)
    count = int(corners.max()) + 1
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    key, reverse = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    # Each directed edge once, and its reverse once: closed, oriented and manifold along every edge.
    closed = len(np.unique(key)) == len(key) and bool(np.array_equal(np.sort(key), np.sort(reverse)))
    crossing = int(np.count_nonzero(_crossing(vertices, faces, corners)))
    return MeshHealth(len(np.unique(corners)), len(faces), int(face_components(corners).max()) + 1, closed, crossing)


def largest_component(vertices: Floats, faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(F,) True for the faces of the component with the most faces."""
    component = face_components(_merged(vertices, faces))
    return component == np.bincount(component).argmax()


def crossing_faces(vertices: Floats, faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(F,) True for faces that an edge of another face pierces, or whose edge pierces another face; both must not share a corner."""
    return _crossing(vertices, faces, _merged(vertices, faces))


def move_uncrossed(vertices: Floats, moves: Floats, faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """(V, 3) vertices, each at its own place, moved by (V, 3); where faces would cut through each other, they and their neighbours go back, in later rounds all
    the way."""
    start, corners = np.asarray(vertices, np.float64), np.ascontiguousarray(faces, np.int64)
    moved = start + moves
    crossing = _crossing(moved, faces, corners)
    for tries_left in reversed(range(BACK_TRIES - 1)):
        if not crossing.any():
            break
        mean = neighbour_mean(faces, len(vertices))  # seldom needed, so made here
        near = np.zeros(len(vertices))
        near[faces[crossing]] = 1
        for _ in range(BACK_RINGS):
            near = np.maximum(near, mean @ near)
        moves = moves * (1 - (BACK_SHARE if tries_left >= BACK_TRIES // 2 else 1) * near)[:, None]
        moved = start + moves
        again = _around(moved[faces], (near[faces] > 0).any(axis=1))  # what did not move again cannot have come to cross anything else
        crossing = np.zeros(len(faces), np.bool_)
        crossing[again] = _crossing(moved, faces[again], corners[again])
    return moved


def _around(triangles: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of all faces that may touch the chosen ones: those in the same cells of a grid, whose cells are as wide as the widest face."""
    low, high = triangles.min(axis=1), triangles.max(axis=1)
    width = max(float((high - low).max()), float(np.ptp(low, axis=0).max()) / MOST_CELLS, np.finfo(np.float64).tiny)
    first, last = (((edge - low.min(axis=0)) / width).astype(np.int64) for edge in (low, high))
    taken = np.zeros(last.max(axis=0) + 1, np.bool_)
    corners = [np.where(pick, last, first) for pick in itertools.product((False, True), repeat=3)]
    for corner in corners:
        taken[tuple(corner[chosen].T)] = True
    return np.flatnonzero(np.any([taken[tuple(corner.T)] for corner in corners], axis=0))


def _crossing(vertices: Floats, faces: NDArray[np.integer], corners: NDArray[np.int64]) -> NDArray[np.bool_]:
    triangles = np.asarray(vertices, np.float64)[faces]
    low, high = triangles.min(axis=1), triangles.max(axis=1)
    axis, across = (int(order) for order in np.argsort(low.min(axis=0) - high.max(axis=0))[:2])
    # Strips along the longest axis, each a few faces wide: a face meets the others of its strips alone.
    width = max(STRIP_FACES * float((high - low)[:, across].mean()), float(np.ptp(low[:, across])) / MOST_STRIPS, np.finfo(np.float64).tiny)
    start, end = (np.floor((edge[:, across] - low[:, across].min()) / width).astype(np.int64) for edge in (low, high))
    copies = end - start + 1
    member = np.repeat(np.arange(len(faces)), copies)
    strip = start[member] + np.arange(len(member)) - np.repeat(np.cumsum(copies) - copies, copies)
    order = np.lexsort((low[member, axis], strip))
    return _sweep(triangles, low, high, corners, axis, member[order], strip[order])


def _merged(vertices: Floats, faces: NDArray[np.integer]) -> NDArray[np.int64]:
    """(F, 3) corners, the same number for the same place."""
    _, place = np.unique(np.asarray(vertices, np.float64), axis=0, return_inverse=True)
    return np.ascontiguousarray(place.reshape(-1)[faces], np.int64)


def mesh_problem(vertices: Floats, faces: NDArray[np.integer]) -> str:
    """Why the mesh cannot be scored; "" when it can."""
    if len(vertices) == 0 or len(faces) == 0:
        return "empty mesh"
    if not np.isfinite(vertices).all():
        return "vertices that are not finite"
    if faces.min() < 0 or faces.max() >= len(vertices):
        return "faces that name missing vertices"
    if not face_normals(vertices, faces)[1].sum() > 0:
        return "surface without area"
    return ""


@numba.njit(nogil=True, cache=True)
def _sweep(
    triangles: Floats, low: Floats, high: Floats, corners: NDArray[np.int64], axis: int, member: NDArray[np.int64], strip: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Faces `member` sorted by strip and by where they begin along `axis`: each meets only those of its strip that begin before it ends."""
    crossing = np.zeros(len(triangles), np.bool_)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    for place in range(len(member)):
        i = member[place]
        for other in range(place + 1, len(member)):
            j = member[other]
            if strip[other] != strip[place] or low[j, axis] > high[i, axis]:
                break
            if low[j, first] > high[i, first] or high[j, first] < low[i, first] or low[j, second] > high[i, second] or high[j, second] < low[i, second]:
                continue
            if crossing[i] and crossing[j]:
                continue
            if _share_corner(corners[i], corners[j]):
                continue
            if _pierces(triangles[i], triangles[j]) or _pierces(triangles[j], triangles[i]):
                crossing[i] = crossing[j] = True
    return crossing


@numba.njit(nogil=True, cache=True)
def _share_corner(a: NDArray[np.int64], b: NDArray[np.int64]) -> bool:
    for i in range(3):
        for j in range(3):
            if a[i] == b[j]:
                return True
    return False


@numba.njit(nogil=True, cache=True)
def _pierces(edges_of: Floats, face: Floats) -> bool:
    """Does an edge of the first triangle pass through the inside of the second?"""
    a, b, c = face[0], face[1], face[2]
    for k in range(3):
        p, q = edges_of[k], edges_of[(k + 1) % 3]
        if _volume(p, a, b, c) * _volume(q, a, b, c) < 0:
            u, v, w = _volume(p, q, a, b), _volume(p, q, b, c), _volume(p, q, c, a)
            if (u > 0 and v > 0 and w > 0) or (u < 0 and v < 0 and w < 0):
                return True
    return False


@numba.njit(nogil=True, cache=True)
def _volume(a: Floats, b: Floats, c: Floats, d: Floats) -> float:
    """Six times the signed volume of a tetrahedron."""
    x0, x1, x2 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    y0, y1, y2 = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    z0, z1, z2 = d[0] - a[0], d[1] - a[1], d[2] - a[2]
    return x0 * (y1 * z2 - y2 * z1) - x1 * (y0 * z2 - y2 * z0) + x2 * (y0 * z1 - y1 * z0)
