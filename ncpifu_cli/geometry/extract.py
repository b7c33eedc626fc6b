"""From an occupancy function to its surface, coarse to fine (design: rendering_and_masks D; the paper's section 3.1 runs marching cubes on all samples).

`surface_search` finds steps of the grid that cross the surface. From there the surface is followed from cell to cell, through every face that it crosses, until
it closes. So each piece of the surface that the search touches comes out whole and exactly as marching cubes on all R^3 samples has it: every corner of every
cell that the surface crosses holds a value that was asked for, none is interpolated. Nothing as large as R^3 is ever stored.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.sampled_field import CUBE, LEVEL, Bounds, Occupancy, SampledField
from ncpifu_cli.geometry.sparse_grid import Codes, SparseGrid
from ncpifu_cli.geometry.surface import face_components
from ncpifu_cli.geometry.surface_search import Crossings, find_crossings

_SEARCH_POINTS_BOX, _SEARCH_POINTS_SILHOUETTE = 32_768, 12_288  # a scattered sample for each 6.4 cm of the cube, each 4 cm of a person's silhouette
_CERTAIN_LOGIT = 12.0
_LEAST_ABOVE = 1e-3  # vertices stay at least a thousandth of a cell from its corners
_CORNERS = np.array([[corner >> 2, corner >> 1 & 1, corner & 1] for corner in range(8)])
_FACES = np.array([[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]])


class EmptySurface(NcpifuError):
    """Nothing inside was found, so there is no surface."""


@dataclass(frozen=True)
class ExtractedSurface:
    """Attributes: vertices (V, 3) float32 NDC, faces (F, 3) int32, counter-clockwise from outside, queried: points the function was asked for."""

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    queried: int


def extract_surface(
    occupancy: Occupancy,
    resolution: int = 256,
    *,
    bounds: Bounds = CUBE,
    valid: NDArray[np.bool_] | None = None,
    margin_ndc: float = 0.02,
    chunk_points: int = 65_536,
    search_points: int | None = None,
    settle: bool = False,
) -> ExtractedSurface:
    """The surface on which `occupancy` is one half, closed, with outward faces.

    Args:
        occupancy: (N, 3) float32 NDC -> (N,) probability of being inside; the value at a point must not depend on the other points of the call.
        resolution: R. Sample i of an axis lies at the centre of cell i of R, -1 + (i + 1/2) * 2 / R, whatever the bounds and the silhouette.
        bounds: lowest and highest corner in NDC; samples outside count as outside and are not asked.
        valid: (S, S) bool silhouette, row 0 on top; samples that project more than `margin_ndc` beside it count as outside and are not asked.
        chunk_points: most points in one call. It never changes the result.
        search_points: about how many scattered samples look for the surface, by default 32 768, or 12 288 within a silhouette. More of them find
            smaller separate pieces; what hangs together with something found is never lost. Eight times as many are spent before giving up.
        settle: ask once more at every vertex and move it along its grid edge accordingly; else vertices are marching cubes' own. A function that is not
            linear between samples leaves rings like those of wood on a surface that is nearly parallel to the grid.

    Raises EmptySurface when nothing is inside, NcpifuError when the function gives NaN, ValueError for a wrong argument or result shape.
    """
    field = SampledField(occupancy, resolution, bounds, valid, margin_ndc, chunk_points)
    search_points = search_points or (_SEARCH_POINTS_BOX if valid is None else _SEARCH_POINTS_SILHOUETTE)
    crossings = find_crossings(field, search_points)
    if not len(crossings.low):
        crossings = find_crossings(field, 8 * search_points)
    if not len(crossings.low):
        raise EmptySurface(
            "no surface: nothing in the picture's space is inside the person",
            "check the mask and the framing of the photo, and that the weights were trained",
        )
    cells = _follow(field, _cells_around(field.grid, crossings))
    places, faces = _marching_cubes(field, cells)
    if settle:
        places = _settled(field, places)
    return ExtractedSurface(field.positions(places), faces, field.queried)


def logit(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) log odds; of what is nearer to 0 or 1 than 1e-9 as of that."""
    sure = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(sure) - np.log1p(-sure))


def linear_in_logit(occupancy: Occupancy) -> Occupancy:
    """The same surface (0.5) by a function that changes evenly across it.

    A trained network goes from 0 to 1 within less than a cell; marching cubes, which interpolates linearly between corners, makes terraces of that. The logit
    of such a network is nearly linear there. Certain answers stay 0 and 1. No answer is so close to the level that the vertices around a corner become one.
    """

    def evenly(points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        above = logit(occupancy(points_ndc)) / (2 * _CERTAIN_LOGIT)
        above = np.where(above > 0, np.maximum(above, _LEAST_ABOVE), np.minimum(above, -_LEAST_ABOVE))
        return np.clip(0.5 + above, 0, 1).astype(np.float32)

    return evenly


def _cells_around(grid: SparseGrid, crossings: Crossings) -> Codes:
    """Codes of the four cells around each crossing of one step. A cell is named by its lowest corner."""
    rows = np.arange(len(crossings.low))
    cells = []
    for first, second in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cell = crossings.low.copy()
        cell[rows, (crossings.axis + 1) % 3] -= first
        cell[rows, (crossings.axis + 2) % 3] -= second
        cells.append(grid.encode(cell))
    return grid.first_visits(np.concatenate(cells))


def _faces_crossed() -> NDArray[np.bool_]:
    """(256, 6) bool: by which corners are inside (bit c for corner c), whether the surface passes through each face of the cell."""
    inside = np.arange(256)[:, None] >> np.arange(8) & 1 > 0
    corners = [np.flatnonzero(_CORNERS[:, axis] == side) for axis in range(3) for side in (0, 1)]
    return np.stack([inside[:, four].any(axis=1) & ~inside[:, four].all(axis=1) for four in corners], axis=1)


def _follow(field: SampledField, cells: Codes) -> Codes:
    """All cells that the surface passes through, starting from some of them; afterwards all their corners are known."""
    faces_crossed = _faces_crossed()
    found = []
    while len(cells):
        found.append(cells)
        indices = field.grid.decode(cells)
        inside = field.values(field.grid.encode_corners(indices)) > LEVEL
        crossed = faces_crossed[np.packbits(inside, axis=1, bitorder="little")[:, 0]]
        beyond = [field.grid.encode(indices[crossed[:, face]] + _FACES[face]) for face in range(6)]
        cells = field.grid.first_visits(np.concatenate(beyond))
    return np.concatenate(found)


def _marching_cubes(field: SampledField, cells: Codes) -> tuple[NDArray[np.floating], NDArray[np.int32]]:
    """Lewiner's marching cubes on the crossed cells alone, laid out in their tight box. Returns vertices in sample indices and faces."""
    from skimage.measure import marching_cubes

    indices = field.grid.decode(cells)
    lowest = indices.min(axis=0)
    shape = indices.max(axis=0) - lowest + 2
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    places = (indices - lowest) @ strides
    volume = np.zeros(shape, np.float32)
    in_use = np.zeros(shape, bool)
    in_use.reshape(-1)[places + strides.sum()] = True  # scikit-image looks a cell up by its highest corner
    values = field.grid.read(field.grid.encode_corners(indices))
    for corner, offset in enumerate(_CORNERS):
        volume.reshape(-1)[places + offset @ strides] = values[:, corner]
    vertices, faces, _, _ = marching_cubes(volume, LEVEL, gradient_direction="ascent", mask=in_use)
    return vertices + lowest, np.ascontiguousarray(faces, np.int32)


def _settled(field: SampledField, vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """(V, 3) vertices in sample indices, each moved along the grid edge that it lies on by one step of false position.

    The value at the vertex says on which side of it the edge crosses the level; there it is interpolated anew. (A parabola through all three values misses by
    three times as much on a trained network.) Vertices within a cell, and those on an edge of which one end was not asked about, stay.
    """
    places: NDArray[np.float64] = vertices.astype(np.float64)
    fraction = np.abs(places - np.round(places))
    moved = np.flatnonzero(np.count_nonzero(fraction > _LEAST_ABOVE / 10, axis=1) == 1)
    along = np.argmax(fraction[moved], axis=1)
    rows = np.arange(len(moved))
    low = np.round(places[moved]).astype(np.int64)
    low[rows, along] = np.floor(places[moved, along]).astype(np.int64)
    high = low.copy()
    high[rows, along] += 1
    asked = field.needed(low) & field.needed(high)
    moved, along, low, high = moved[asked], along[asked], low[asked], high[asked]
    below, above = (field.values(field.grid.encode(end)).astype(np.float64) - LEVEL for end in (low, high))
    here = field.ask_at(places[moved]).astype(np.float64) - LEVEL
    start = low[np.arange(len(moved)), along]
    at = places[moved, along] - start
    further = (here > 0) == (below > 0)  # the level lies between the vertex and the upper end
    far, value = np.where(further, 1, 0), np.where(further, above, below)
    step = np.divide(here, here - value, out=np.zeros_like(here), where=here != value)
    places[moved, along] = start + np.clip(at + step * (far - at), _LEAST_ABOVE, 1 - _LEAST_ABOVE)
    return places


def without_cavities(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The surface without those separate pieces that face inwards: walls of hollows, which nobody sees and no printer wants.

    Args: vertices (V, 3), faces (F, 3) of closed pieces with F >= 1. Returns the same without dropped and unused vertices, in the same order.
    """
    component = face_components(faces)
    corners = vertices[faces].astype(np.float64)
    volume = np.bincount(component, np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
    return _with_faces(vertices, faces[volume[component] > 0])


def largest_components(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], keep: int = 1, min_fraction: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The `keep` components with the most faces, less those with under `min_fraction` of the faces of the largest.

    Args: vertices (V, 3), faces (F, 3) with F >= 1. Returns the same without dropped and unused vertices, in the same order.
    """
    component = face_components(faces)
    sizes = np.bincount(component)
    largest = np.argsort(-sizes, kind="stable")[:keep]
    kept = largest[sizes[largest] >= min_fraction * sizes[largest[0]]]
    return _with_faces(vertices, faces[np.isin(component, kept)])


def _with_faces(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The vertices that these faces use, and the faces renumbered."""
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    return vertices[used], (np.cumsum(used) - 1)[faces].astype(np.int32)
