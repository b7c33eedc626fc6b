"""Values on a huge regular grid of which only a thin shell is ever known: 8x8x8 bricks behind a directory.

A sample is addressed by one integer, its code `brick << 9 | x_in_brick << 6 | y_in_brick << 3 | z_in_brick`, so that codes that lie close together lie
close together in memory. A grid of 1024^3 samples costs 8 MB for the directory and 2 kB for each brick that the surface touches.
"""

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Indices = NDArray[np.int64]

_BRICK = 8
_BRICK_BITS = 9  # 8^3 samples in a brick
_IN_BRICK = (1 << _BRICK_BITS) - 1


class SparseGrid:
    """A sparse float32 grid of `shape` samples; a sample that was never written reads as NaN."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._bricks = tuple(-(-count // _BRICK) for count in shape)
        strides = (self._bricks[1] * self._bricks[2], self._bricks[2], 1)
        # The code of (x, y, z) is the sum of one table entry for each axis.
        self._tables = [
            (np.arange(count) // _BRICK * stride << _BRICK_BITS) + (np.arange(count) % _BRICK << shift)
            for count, stride, shift in zip(shape, strides, (6, 3, 0), strict=True)
        ]
        self._directory = np.zeros(self._bricks[0] * self._bricks[1] * self._bricks[2], np.int64)  # 0: not there
        self._pool = np.full((64, 1 << _BRICK_BITS), np.nan, np.float32)  # brick 0 is never written: it answers NaN for all absent ones
        self._seen = np.zeros(self._pool.shape, bool)
        self._used = 1

    def encode(self, indices: Indices) -> Codes:
        """(N, 3) sample indices, each within `shape` -> (N,) codes."""
        return self._tables[0][indices[:, 0]] + self._tables[1][indices[:, 1]] + self._tables[2][indices[:, 2]]

    def encode_corners(self, indices: Indices) -> Codes:
        """(N, 3) indices of cells (of their lowest corner) -> (N, 8) codes of the corners, corner c at (c >> 2, c >> 1 & 1, c & 1)."""
        low = [table[indices[:, axis]] for axis, table in enumerate(self._tables)]
        high = [table[indices[:, axis] + 1] for axis, table in enumerate(self._tables)]
        corners = np.empty((len(indices), 8), np.int64)
        for corner in range(8):
            x, y, z = high[0] if corner & 4 else low[0], high[1] if corner & 2 else low[1], high[2] if corner & 1 else low[2]
            corners[:, corner] = x + y + z
        return corners

    def decode(self, codes: Codes) -> Indices:
        """(N,) codes -> (N, 3) sample indices; the inverse of `encode`."""
        brick = codes >> _BRICK_BITS
        column, z = np.divmod(brick, self._bricks[2])
        x, y = np.divmod(column, self._bricks[1])
        inside = np.stack([codes >> 6 & 7, codes >> 3 & 7, codes & 7], axis=1)
        return np.stack([x, y, z], axis=1) * _BRICK + inside

    def read(self, codes: Codes) -> NDArray[np.float32]:
        """Values at `codes` (any shape), NaN where none was written."""
        return self._pool.reshape(-1)[self._slots(codes)]

    def write(self, codes: Codes, values: NDArray[np.float32]) -> None:
        """Set the values (N,) at `codes` (N,)."""
        self._allocate(codes)
        self._pool.reshape(-1)[self._slots(codes)] = values

    def first_visits(self, codes: Codes) -> Codes:
        """Those of `codes` (N,) that no earlier call was given, each once, in ascending order."""
        self._allocate(codes)
        seen = self._seen.reshape(-1)
        fresh = np.unique(codes[~seen[self._slots(codes)]])
        seen[self._slots(fresh)] = True
        return fresh

    def _slots(self, codes: Codes) -> NDArray[np.int64]:
        return (self._directory[codes >> _BRICK_BITS] << _BRICK_BITS) + (codes & _IN_BRICK)

    def _allocate(self, codes: Codes) -> None:
        bricks = codes >> _BRICK_BITS
        new = np.unique(bricks[self._directory[bricks] == 0])
        needed = self._used + len(new)
        if needed > len(self._pool):
            extra = max(needed - len(self._pool), len(self._pool) // 2)
            self._pool = np.concatenate([self._pool, np.full((extra, 1 << _BRICK_BITS), np.nan, np.float32)])
            self._seen = np.concatenate([self._seen, np.zeros((extra, 1 << _BRICK_BITS), bool)])
        self._directory[new] = np.arange(self._used, needed)
        self._used = needed
