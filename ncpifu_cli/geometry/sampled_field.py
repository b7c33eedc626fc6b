"""An occupancy function on a regular grid of samples, asked at most once for each of them."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.sparse_grid import Codes, Indices, SparseGrid

Occupancy = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]

LEVEL = 0.5  # inside is above it
ON_GRID = 1e-4  # of a cell: float32 is that exact at 1024, and a vertex keeps ten times as far from every sample
CUBE: Bounds = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))


class SampledField:
    """At resolution R, sample i of an axis lies at -1 + (i + 1/2) * 2 / R in NDC: the centres of R^3 cells of [-1, 1]^3.

    `bounds` and the silhouette `valid` only say which of these samples count as outside without being asked; they never move one.
    Within the box the samples are numbered from 1 to n on each axis; 0 and n + 1 are a layer of samples that are outside, which closes every surface.

    Attributes: grid holds the known values, samples (3,) is n, columns (n_x + 2, n_y + 2) bool tells which lines along z are asked at all,
    queried counts the points that the function was asked for.
    """

    def __init__(
        self,
        occupancy: Occupancy,
        resolution: int,
        bounds: Bounds = CUBE,
        valid: NDArray[np.bool_] | None = None,
        margin_ndc: float = 0.0,
        chunk_points: int = 65_536,
    ) -> None:
        if resolution < 2 or chunk_points < 1 or margin_ndc < 0:
            raise ValueError("resolution must be at least 2, chunk_points at least 1, the margin not negative")
        self.occupancy, self.resolution, self.chunk_points = occupancy, resolution, chunk_points
        self.spacing_ndc = 2 / resolution
        first = np.ceil((np.asarray(bounds[0]) + 1) / self.spacing_ndc - 0.5 - 1e-9).astype(np.int64)
        last = np.floor((np.asarray(bounds[1]) + 1) / self.spacing_ndc - 0.5 + 1e-9).astype(np.int64)
        if np.any(last < first):
            raise ValueError(f"the bounds {bounds} hold no sample")
        self.samples = last - first + 1
        self._origin = first - 1
        x, y, z = (int(count) + 2 for count in self.samples)
        self.grid = SparseGrid((x, y, z))
        self.columns = np.zeros((x, y), bool)
        self.columns[1:-1, 1:-1] = True
        if valid is not None:
            self.columns &= self._within(valid, margin_ndc)
        self.queried = 0

    def positions(self, indices: NDArray[np.number]) -> NDArray[np.float32]:
        """(N, 3) sample indices, fractions allowed -> (N, 3) NDC."""
        return ((indices + (self._origin + 0.5)) * self.spacing_ndc - 1).astype(np.float32)

    def values(self, codes: Codes) -> NDArray[np.float32]:
        """Values at `codes` (any shape); what is not known yet is asked for and kept."""
        values = self.grid.read(codes)
        unknown = np.isnan(values)
        if unknown.any():
            wanted = codes[unknown]
            new = np.unique(wanted)
            self.grid.write(new, self.ask(self.grid.decode(new)))
            values[unknown] = self.grid.read(wanted)
        return values

    def inside(self, indices: Indices) -> NDArray[np.bool_]:
        """(N, 3) sample indices -> (N,) whether the sample is inside."""
        return self.values(self.grid.encode(indices)) > LEVEL

    def ask(self, indices: Indices) -> NDArray[np.float32]:
        """Values at samples (N, 3), not kept: 0 where nothing need be asked, else the function's, called in chunks.

        Raises NcpifuError for NaN and ValueError for a result of the wrong shape.
        """
        values = np.zeros(len(indices), np.float32)
        needed = self.needed(indices)
        values[needed] = self.ask_at(indices[needed])
        return values

    def needed(self, indices: Indices) -> NDArray[np.bool_]:
        """(N, 3) sample indices -> (N,) whether the function is asked about the sample; what it is not asked about is outside."""
        z = indices[:, 2]
        return self.columns[indices[:, 0], indices[:, 1]] & (z > 0) & (z <= self.samples[2])

    def ask_at(self, places: NDArray[np.number]) -> NDArray[np.float32]:
        """The function's values (N,) at places (N, 3) in sample indices, fractions allowed, called in chunks. Raises as `ask`."""
        values = np.empty(len(places), np.float32)
        for start in range(0, len(places), self.chunk_points):
            chunk = places[start : start + self.chunk_points]
            answer = np.asarray(self.occupancy(self.positions(chunk)), np.float32)
            if answer.shape != (len(chunk),):
                raise ValueError(f"occupancy must answer ({len(chunk)},) for ({len(chunk)}, 3) points, not {answer.shape}")
            values[start : start + len(chunk)] = answer
        if np.isnan(values).any():
            raise NcpifuError("the network's occupancy is not a number (NaN)", "the weights are damaged or their training diverged: use others")
        self.queried += len(places)
        return values

    def _within(self, valid: NDArray[np.bool_], margin_ndc: float) -> NDArray[np.bool_]:
        """(n_x + 2, n_y + 2) bool: the sample's pixel lies in the silhouette (S, S) or at most the margin beside it."""
        if valid.ndim != 2 or valid.shape[0] != valid.shape[1]:
            raise ValueError(f"the silhouette must be square, (S, S), not {valid.shape}")
        size_px = len(valid)
        radius_px = int(np.ceil(margin_ndc * size_px / 2))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
        grown = cv2.dilate(valid.astype(np.uint8), disc) > 0
        x_ndc, y_ndc = ((np.arange(count) + self._origin[axis] + 0.5) * self.spacing_ndc - 1 for axis, count in enumerate(self.columns.shape))
        column_px = np.floor((x_ndc + 1) * (size_px / 2)).astype(np.int64)
        row_px = np.floor((1 - y_ndc) * (size_px / 2)).astype(np.int64)
        in_image = ((column_px >= 0) & (column_px < size_px))[:, None] & ((row_px >= 0) & (row_px < size_px))
        return in_image & grown[np.clip(row_px, 0, size_px - 1), np.clip(column_px, 0, size_px - 1)[:, None]]


class Remembered:
    """The same function, (N, 3) float32 NDC -> (N,), that asks no second time about a sample of the whole cube at `resolution`; about points between samples
    it asks each time. For one surface after another of the same function: a `SampledField` forgets with the surface.
    """

    def __init__(self, occupancy: Occupancy, resolution: int) -> None:
        self._occupancy, self._resolution = occupancy, resolution
        self._grid = SparseGrid((resolution, resolution, resolution))

    def __call__(self, points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        places = (points_ndc.astype(np.float64) + 1) * (self._resolution / 2) - 0.5
        indices = np.rint(places).astype(np.int64)
        on_grid = (np.abs(places - indices) < ON_GRID).all(axis=1) & ((indices >= 0) & (indices < self._resolution)).all(axis=1)
        codes = self._grid.encode(indices[on_grid])
        values = np.full(len(points_ndc), np.nan, np.float32)
        values[on_grid] = self._grid.read(codes)
        unknown = np.isnan(values)
        if unknown.any():
            values[unknown] = self._occupancy(points_ndc[unknown])
            new = unknown[on_grid]
            self._grid.write(codes[new], values[on_grid][new])
        return values
