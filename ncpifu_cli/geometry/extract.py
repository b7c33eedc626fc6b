"""The surface of an occupancy function, coarse to fine on a sparse grid (design: rendering_and_masks D; brute force is paper section 3.1's marching cubes).

The grid. At resolution R the cube [-1, 1]^3 of NDC is cut into R^3 cells and the function is sampled at their centres, -1 + (i + 1/2) * 2 / R: R samples for
each axis. Bounds and a silhouette only say which of these samples need not be asked, never move them. Around the box lies a layer of samples that are outside,
so every surface is closed.

The search. A low-discrepancy lattice of at most `search_points` samples finds where inside and outside lie near each other; there a regular lattice of
1/64 of the cube is sampled; along every edge of it whose ends differ, the crossing is found by bisection. From these crossings the surface is followed
from cell to cell until it closes. So each piece of the surface that the search touches comes out complete, whatever its shape, and exactly as marching cubes
on all R^3 samples has it: every corner of every cell that the surface crosses holds a value that was asked for, none is interpolated.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.sparse_grid import Codes, Indices, SparseGrid

Occupancy = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_LATTICE_PER_AXIS = 64  # regular lattice of the search: 3.2 cm of the 1.80 m subject
_CORNERS = np.array([[c >> 2, c >> 1 & 1, c & 1] for c in range(8)])
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
    level: float = 0.5,
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]] = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
    valid: NDArray[np.bool_] | None = None,
    margin_px: int = 4,
    chunk_points: int = 65_536,
    search_points: int = 65_536,
) -> ExtractedSurface:
    """The surface on which `occupancy` is `level`, closed, with outward faces.

    Args:
        occupancy: (N, 3) float32 NDC -> (N,) probability of being inside; the value at a point must not depend on the other points of the call.
        resolution: R, samples for each axis of [-1, 1]. level: inside is > level.
        bounds: lowest and highest corner in NDC; outside it nothing is asked and everything counts as outside.
        valid: (S, S) bool silhouette; what projects more than `margin_px` beside it counts as outside and is not asked.
        chunk_points: most points in one call. It never changes the result.
        search_points: about how many samples the first search spends; more of them find smaller separate pieces.

    Raises EmptySurface when nothing is inside, NcpifuError when the function gives NaN, ValueError for a wrong argument or result shape.
    """
    field = _Field(occupancy, resolution, level, bounds, valid, margin_px, chunk_points)
    for effort in (1, 8):  # before giving up, search more densely
        edges = _search(field, effort * search_points)
        if len(edges.low):
            break
    else:
        raise EmptySurface(
            "the network puts nothing inside the surface: there is no person to reconstruct",
            "check the mask and the framing of the photo, or whether the weights were trained",
        )
    cells = _follow(field, _cells_around(field.grid, _bisect(field, edges)))
    vertices, faces = _marching_cubes(field, cells)
    return ExtractedSurface(vertices, faces, field.queried)


class _Field:
    """The function on the grid's samples, asked at most once for each. Index 0 and index n + 1 of each axis are the layer outside the box."""

    def __init__(
        self,
        occupancy: Occupancy,
        resolution: int,
        level: float,
        bounds: tuple[tuple[float, float, float], tuple[float, float, float]],
        valid: NDArray[np.bool_] | None,
        margin_px: int,
        chunk_points: int,
    ) -> None:
        if resolution < 2 or chunk_points < 1 or margin_px < 0:
            raise ValueError("resolution must be at least 2, chunk_points at least 1, margin_px not negative")
        self.occupancy, self.level, self.chunk_points, self.resolution = occupancy, level, chunk_points, resolution
        self.spacing = 2 / resolution
        first = np.ceil((np.asarray(bounds[0]) + 1) / self.spacing - 0.5 - 1e-9).astype(int)
        last = np.floor((np.asarray(bounds[1]) + 1) / self.spacing - 0.5 + 1e-9).astype(int)
        if np.any(last < first):
            raise ValueError(f"the bounds {bounds} hold no sample")
        self.origin = first - 1
        self.samples = last - first + 1
        x, y, z = (int(count) + 2 for count in self.samples)
        self.grid = SparseGrid((x, y, z))
        self.columns = self._open_columns(valid, margin_px)
        self.queried = 0

    def values(self, codes: Codes) -> NDArray[np.float32]:
        """Values at `codes` (any shape); what is not known yet is asked for."""
        values = self.grid.read(codes)
        unknown = np.isnan(values)
        if unknown.any():
            new = np.unique(codes[unknown])
            self.grid.write(new, self.ask(self.grid.decode(new)))
            values[unknown] = self.grid.read(codes[unknown])
        return values

    def inside(self, indices: Indices) -> NDArray[np.bool_]:
        """(N, 3) sample indices -> (N,) whether the sample is inside."""
        return self.values(self.grid.encode(indices)) > self.level

    def ask(self, indices: Indices) -> NDArray[np.float32]:
        """The function at samples (N, 3), in chunks; 0 (below any level) where it need not be asked."""
        values = np.full(len(indices), min(0.0, self.level - 0.5), np.float32)
        z = indices[:, 2]
        needed = np.flatnonzero(self.columns[indices[:, 0], indices[:, 1]] & (z > 0) & (z <= self.samples[2]))
        for start in range(0, len(needed), self.chunk_points):
            chunk = needed[start : start + self.chunk_points]
            answer = np.asarray(self.occupancy(self.positions(indices[chunk])), np.float32)
            if answer.shape != (len(chunk),):
                raise ValueError(f"occupancy must answer ({len(chunk)},) for ({len(chunk)}, 3) points, not {answer.shape}")
            values[chunk] = answer
        if np.isnan(values).any():
            raise NcpifuError("the network's occupancy is not a number (NaN)", "the weights are damaged or their training diverged: use others")
        self.queried += len(needed)
        return values

    def positions(self, indices: NDArray[np.number]) -> NDArray[np.float32]:
        """(N, 3) grid indices, fractions allowed -> (N, 3) NDC."""
        return ((indices + (self.origin + 0.5)) * self.spacing - 1).astype(np.float32)

    def _open_columns(self, valid: NDArray[np.bool_] | None, margin_px: int) -> NDArray[np.bool_]:
        """(x + 2, y + 2) bool: which columns along z have samples that must be asked."""
        columns = np.zeros(self.grid.shape[:2], bool)
        columns[1:-1, 1:-1] = True
        if valid is not None:
            if valid.ndim != 2 or valid.shape[0] != valid.shape[1]:
                raise ValueError(f"valid must be (S, S), not {valid.shape}")
            size_px = len(valid)
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin_px + 1, 2 * margin_px + 1))
            grown = cv2.dilate(valid.astype(np.uint8), disc) > 0
            u = np.floor(((np.arange(columns.shape[0]) + self.origin[0] + 0.5) * self.spacing) * size_px / 2).astype(int)
            v = np.floor((2 - (np.arange(columns.shape[1]) + self.origin[1] + 0.5) * self.spacing) * size_px / 2).astype(int)
            seen = ((u >= 0) & (u < size_px))[:, None] & ((v >= 0) & (v < size_px))[None]
            columns &= seen & grown[np.clip(v, 0, size_px - 1)[None], np.clip(u, 0, size_px - 1)[:, None]]
        return columns


@dataclass(frozen=True)
class _Edges:
    """Grid-aligned segments whose ends differ. Attributes: low (N, 3) sample index of the lower end, axis (N,), span (N,) steps to the other end."""

    low: Indices
    axis: NDArray[np.int64]
    span: NDArray[np.int64]


def _search(field: _Field, search_points: int) -> _Edges:
    """Segments that cross the surface, from the two lattices of the module's description."""
    samples, density = _scattered_samples(field, search_points)
    if not len(samples):
        return _no_edges()
    values = field.ask(samples)
    step = 1 << max(0, int(np.floor(np.log2(max(1, field.resolution / _LATTICE_PER_AXIS)))))
    lattices_per_block = max(1, int(np.ceil(density ** (-1 / 3) / step)))
    active = _active_blocks(field, samples, values > field.level, step * lattices_per_block)
    near = active[tuple((samples // (step * lattices_per_block)).T)]
    samples, values = samples[near], values[near]
    field.grid.write(field.grid.encode(samples), values)

    lattice = _repeat(active, lattices_per_block)
    shape = [-(-count // step) for count in field.grid.shape]
    lattice = _grow_high(lattice)[: shape[0], : shape[1], : shape[2]]
    points = np.argwhere(lattice)
    inside = np.zeros(lattice.shape, bool)
    inside[lattice] = field.inside(points * step)
    parts = [_lattice_edges(lattice, inside, axis, step) for axis in range(3)]
    corners = samples // step
    differs = (values > field.level) != inside[tuple(corners.T)]
    parts.append(_path_edges(field, samples[differs], corners[differs] * step))
    return _Edges(np.concatenate([p.low for p in parts]), np.concatenate([p.axis for p in parts]), np.concatenate([p.span for p in parts]))


def _no_edges() -> _Edges:
    return _Edges(np.zeros((0, 3), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def _scattered_samples(field: _Field, search_points: int) -> tuple[Indices, float]:
    """About `search_points` samples spread evenly over the open columns, and their density (samples in one cell).

    Each column's depths are shifted by the plastic-number sequence, so that no line of sight along an axis stays empty as in a regular grid.
    """
    stride = max(1, field.resolution // 256)  # columns 1/256 apart are enough at any resolution
    x, y = np.nonzero(field.columns[::stride, ::stride])
    depth = int(field.samples[2])
    step = max(stride, len(x) * depth / search_points)
    shift = (x * 0.7548776662466927 + y * 0.5698402909980532) % 1.0
    z = 1 + np.floor((np.arange(int(np.ceil(depth / step)))[None] + shift[:, None]) * step).astype(np.int64)
    column, layer = np.nonzero(z <= depth)
    samples = np.stack([x[column] * stride, y[column] * stride, z[column, layer]], axis=1)
    return samples, 1 / (step * stride * stride)


def _active_blocks(field: _Field, samples: Indices, inside: NDArray[np.bool_], block: int) -> NDArray[np.bool_]:
    """Blocks of `block`^3 samples that have both inside and outside samples in their 3x3x3 neighbourhood."""
    shape = [-(-count // block) for count in field.grid.shape]
    has_inside, has_outside = np.zeros(shape, bool), np.zeros(shape, bool)
    has_inside[tuple((samples[inside] // block).T)] = True
    has_outside[tuple((samples[~inside] // block).T)] = True
    closed = np.argwhere(~field.columns) // block
    has_outside[closed[:, 0], closed[:, 1]] = True
    has_outside[:, :, [0, -1]] = True
    return _grow(has_inside) & _grow(has_outside)


def _grow(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilation of a 3D mask by one in all 26 directions."""
    for axis in range(3):
        mask = np.swapaxes(mask, 0, axis)
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        mask = np.swapaxes(grown, 0, axis)
    return mask


def _repeat(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    return mask.repeat(times, 0).repeat(times, 1).repeat(times, 2)


def _grow_high(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilation by one towards higher indices: the lattice points on a block's far faces."""
    mask = np.pad(mask, ((0, 1), (0, 1), (0, 1)))
    for axis in range(3):
        mask = mask | np.roll(mask, 1, axis)
    return mask


def _lattice_edges(lattice: NDArray[np.bool_], inside: NDArray[np.bool_], axis: int, step: int) -> _Edges:
    """Edges along `axis` between neighbouring lattice points of which one is inside."""
    low = [slice(None)] * 3
    high = [slice(None)] * 3
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    crossing = lattice[tuple(low)] & lattice[tuple(high)] & (inside[tuple(low)] != inside[tuple(high)])
    start = np.argwhere(crossing) * step
    return _Edges(start, np.full(len(start), axis), np.full(len(start), step))


def _path_edges(field: _Field, samples: Indices, corners: Indices) -> _Edges:
    """A crossing segment on the axis-aligned way from each sample (N, 3) to a lower corner (N, 3) that is on the other side."""
    parts = [_no_edges()]
    place = samples.copy()
    here = field.inside(place)
    for axis in range(3):
        span = samples[:, axis] - corners[:, axis]
        place[:, axis] = corners[:, axis]
        there = field.inside(place)
        crossing = here != there
        parts.append(_Edges(place[crossing].copy(), np.full(int(crossing.sum()), axis), span[crossing]))
        here = there
    return _Edges(np.concatenate([p.low for p in parts]), np.concatenate([p.axis for p in parts]), np.concatenate([p.span for p in parts]))


def _bisect(field: _Field, edges: _Edges) -> _Edges:
    """Shorten each crossing segment to one crossing step of the grid."""
    low, span = edges.low.copy(), edges.span.copy()
    lanes = np.arange(len(low))
    start = field.inside(low)
    while len(long := lanes[span > 1]):
        half = span[long] // 2
        middle = low[long]
        middle[np.arange(len(long)), edges.axis[long]] += half
        same = field.inside(middle) == start[long]
        low[long[same]] = middle[same]
        span[long] = np.where(same, span[long] - half, half)
    return _Edges(low, edges.axis, span)


def _cells_around(grid: SparseGrid, edges: _Edges) -> Codes:
    """Codes of the four cells around each edge of one step."""
    rows = np.arange(len(edges.low))
    cells = []
    for first, second in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cell = edges.low.copy()
        cell[rows, (edges.axis + 1) % 3] -= first
        cell[rows, (edges.axis + 2) % 3] -= second
        cells.append(grid.encode(cell))
    return grid.first_visits(np.concatenate(cells))


def _follow(field: _Field, cells: Codes) -> Codes:
    """All cells that the surface crosses and that are connected to `cells` by faces it crosses; afterwards all their corners are known."""
    crossed = []
    face_corners = [np.flatnonzero(_CORNERS[:, axis] == side) for axis in range(3) for side in (0, 1)]
    powers = 1 << np.arange(8)
    cases = np.arange(256)[:, None] & powers > 0
    mixed_faces = np.stack([cases[:, c].any(1) & ~cases[:, c].all(1) for c in face_corners], axis=1)
    while len(cells):
        crossed.append(cells)
        indices = field.grid.decode(cells)
        inside = field.values(field.grid.encode_corners(indices)) > field.level
        mixed = mixed_faces[np.packbits(inside, axis=1, bitorder="little")[:, 0]]
        neighbours = [field.grid.encode(indices[mixed[:, face]] + _FACES[face]) for face in range(6)]
        cells = field.grid.first_visits(np.concatenate(neighbours))
    return np.concatenate(crossed)


def _marching_cubes(field: _Field, cells: Codes) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Lewiner's marching cubes on the crossed cells, within their tight box."""
    from skimage.measure import marching_cubes

    indices = field.grid.decode(cells)
    low = indices.min(axis=0)
    shape = indices.max(axis=0) - low + 2
    volume = np.zeros(shape, np.float32)
    in_use = np.zeros(shape, bool)
    high = indices - low + 1
    in_use[tuple(high.T)] = True  # scikit-image looks a cell up by its highest corner
    values = field.grid.read(field.grid.encode_corners(indices))
    for corner, offset in enumerate(_CORNERS):
        volume[tuple((indices - low + offset).T)] = values[:, corner]
    vertices, faces, _, _ = marching_cubes(volume, field.level, gradient_direction="ascent", mask=in_use)
    return field.positions(vertices + low), np.ascontiguousarray(faces, np.int32)


def largest_components(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], keep: int = 1, min_fraction: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The `keep` components with the most faces, less those with under `min_fraction` of the faces of the largest.

    Args: vertices (V, 3), faces (F, 3). Returns the same without the dropped and unused vertices, order kept.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts, ends = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    links = coo_array((np.ones(len(starts), bool), (starts, ends)), shape=(len(vertices), len(vertices)))
    count, labels = connected_components(links, directed=False)
    sizes = np.bincount(labels[faces[:, 0]], minlength=count)
    order = np.argsort(-sizes, kind="stable")[:keep]
    kept = order[(sizes[order] > 0) & (sizes[order] >= min_fraction * sizes[order[0]])]
    faces = faces[np.isin(labels[faces[:, 0]], kept)]
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    renumbered = np.cumsum(used) - 1
    return vertices[used], renumbered[faces].astype(np.int32)
