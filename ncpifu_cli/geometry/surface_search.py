"""Where does the surface pass? The coarse part of surface extraction: from a function on a grid to single grid steps that cross its level.

1. A few samples, scattered evenly over the box (over the silhouette, where one is known), are asked.
2. Where inside and outside samples lie near each other, a regular lattice of 1/64 of the cube (3.2 cm of the 1.80 m subject) is asked.
3. Along each lattice edge whose ends differ, and from each scattered sample to its lattice point if those differ, the crossing is bisected.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from ncpifu_cli.geometry.sampled_field import LEVEL, SampledField
from ncpifu_cli.geometry.sparse_grid import Indices

_LATTICE_PER_AXIS = 64
_COLUMNS_PER_AXIS = 256  # scattered samples stand on columns this fine, at any higher resolution too
_R2_SEQUENCE = (0.7548776662466927, 0.5698402909980532)  # 1/p and 1/p^2 of the plastic number p: evenly spread in two dimensions


@dataclass(frozen=True)
class Crossings:
    """Axis-aligned segments between samples, one end inside. Attributes: low (N, 3) lower end, axis (N,), span (N,) steps to the other end."""

    low: Indices
    axis: NDArray[np.int64]
    span: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: "list[Crossings]") -> "Crossings":
        """All segments of `parts`, of which there must be at least one."""
        return cls(np.concatenate([p.low for p in parts]), np.concatenate([p.axis for p in parts]), np.concatenate([p.span for p in parts]))


def find_crossings(field: SampledField, search_points: int) -> Crossings:
    """Single steps of the grid that cross the surface, spread over all of it that the search sees; none when nothing is inside.

    Args: search_points: about how many scattered samples to ask.
    """
    samples, density = scattered_samples(field, search_points)
    values = field.ask(samples)
    lattice_step = 1 << max(0, int(np.log2(max(1, field.resolution // _LATTICE_PER_AXIS))))
    cells_per_block = max(1, int(np.ceil(density ** (-1 / 3) / lattice_step)))  # a block holds one scattered sample or more
    block = lattice_step * cells_per_block
    active = _active_blocks(field, samples, values > LEVEL, block)
    near = active[tuple(samples.T // block)]
    samples, values = samples[near], values[near]
    field.grid.write(field.grid.encode(samples), values)

    lattice = _lattice_of(active, cells_per_block, [-(-count // lattice_step) for count in field.grid.shape])
    inside = np.zeros(lattice.shape, bool)
    inside[lattice] = field.inside(np.argwhere(lattice) * lattice_step)
    corners = samples // lattice_step
    differs = (values > LEVEL) != inside[tuple(corners.T)]
    segments = [_lattice_segments(lattice, inside, axis, lattice_step) for axis in range(3)]
    segments += _path_segments(field, samples[differs], corners[differs] * lattice_step)
    return _bisect(field, Crossings.joined(segments))


def scattered_samples(field: SampledField, count: int) -> tuple[Indices, float]:
    """About `count` samples (N, 3), evenly over the columns that are asked, and their density (share of all samples there).

    Seen along an axis, a regular lattice of 5 cm leaves gaps in which a 3 cm limb can hide at full length. Here each column has its own depths, shifted by a
    low-discrepancy sequence, so that a limb meets samples in proportion to its volume, however it lies.
    """
    stride = max(1, field.resolution // _COLUMNS_PER_AXIS)
    x, y = np.nonzero(field.columns[::stride, ::stride])
    depth = int(field.samples[2])
    step = max(stride, len(x) * depth / max(1, count))
    shift = (x * _R2_SEQUENCE[0] + y * _R2_SEQUENCE[1]) % 1.0
    z = 1 + np.floor((np.arange(int(np.ceil(depth / step))) + shift[:, None]) * step).astype(np.int64)
    column, layer = np.nonzero(z <= depth)
    samples = np.stack([x[column] * stride, y[column] * stride, z[column, layer]], axis=1)
    return samples, 1 / (step * stride * stride)


def _active_blocks(field: SampledField, samples: Indices, inside: NDArray[np.bool_], block: int) -> NDArray[np.bool_]:
    """Blocks of `block`^3 samples that, with the six blocks beside them, have both inside and outside samples."""
    shape = [-(-count // block) for count in field.grid.shape]
    has_inside, has_outside = np.zeros(shape, bool), np.zeros(shape, bool)
    has_inside[tuple(samples[inside].T // block)] = True
    has_outside[tuple(samples[~inside].T // block)] = True
    unasked_x, unasked_y = np.nonzero(~field.columns)
    has_outside[unasked_x // block, unasked_y // block] = True
    has_outside[:, :, [0, -1]] = True  # the layer around the box
    return np.logical_and(binary_dilation(has_inside), binary_dilation(has_outside))


def _lattice_of(active: NDArray[np.bool_], cells_per_block: int, shape: list[int]) -> NDArray[np.bool_]:
    """The lattice points (of `shape`) in active blocks or on their faces."""
    points = active
    for axis in range(3):
        points = points.repeat(cells_per_block, axis)
    points = np.pad(points, ((0, 1),) * 3)
    for axis in range(3):
        points = points | np.roll(points, 1, axis)
    return points[: shape[0], : shape[1], : shape[2]]


def _lattice_segments(lattice: NDArray[np.bool_], inside: NDArray[np.bool_], axis: int, step: int) -> Crossings:
    """Segments along `axis` between neighbouring lattice points of which one is inside."""
    low: list[slice] = [slice(None)] * 3
    high: list[slice] = [slice(None)] * 3
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    crossing = lattice[tuple(low)] & lattice[tuple(high)] & (inside[tuple(low)] != inside[tuple(high)])
    start = np.argwhere(crossing) * step
    return Crossings(start, np.full(len(start), axis), np.full(len(start), step))


def _path_segments(field: SampledField, samples: Indices, corners: Indices) -> list[Crossings]:
    """The crossing segments on the way along x, then y, then z from each sample (N, 3) to a corner (N, 3) that lies nowhere higher."""
    segments = []
    place = samples.copy()
    here = field.inside(place)
    for axis in range(3):
        place[:, axis] = corners[:, axis]
        there = field.inside(place)
        crossing = here != there
        segments.append(Crossings(place[crossing], np.full(int(crossing.sum()), axis), (samples - corners)[crossing, axis]))
        here = there
    return segments


def _bisect(field: SampledField, segments: Crossings) -> Crossings:
    """Shorten each segment to one step of the grid that crosses the surface."""
    low, span = segments.low.copy(), segments.span.copy()
    low_inside = field.inside(low)
    while len(long := np.flatnonzero(span > 1)):
        half = span[long] // 2
        middle = low[long]
        middle[np.arange(len(long)), segments.axis[long]] += half
        beyond = field.inside(middle) == low_inside[long]  # then the crossing lies beyond the middle
        low[long[beyond]] = middle[beyond]
        span[long] = np.where(beyond, span[long] - half, half)
    return Crossings(low, segments.axis, span)
