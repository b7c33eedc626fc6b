"""Groups of query points along a space-filling curve (method section 9, `integration: points`)."""

import torch
from torch import Tensor

BITS = 10  # per axis


def morton_code(points_ndc: Tensor) -> Tensor:
    """(..., 3) NDC -> (...) int64 place along the Morton curve through [-1, 1]^3."""
    cell = ((points_ndc.clamp(-1, 1) + 1) / 2 * (2**BITS - 1)).round().long()
    code = torch.zeros_like(cell[..., 0])
    for bit in range(BITS):
        for axis in range(3):
            code |= ((cell[..., axis] >> bit) & 1) << (3 * bit + axis)
    return code


def strided_groups(points_ndc: Tensor, group_size: int) -> Tensor:
    """Cut points into groups that each span the whole body.

    Args: points_ndc (B, N, 3). group_size: n.
    Returns (B, G, n) indices into N, G = ceil(N / n): group g takes every G-th point of the curve from the g-th on, in curve order; the
    last places are padded by repeating the curve's end. Every point is in at least one group.
    """
    count = points_ndc.shape[1]
    groups = -(-count // group_size)
    order = morton_code(points_ndc).argsort(dim=1, stable=True)
    padded = torch.cat([order, order[:, -1:].expand(-1, groups * group_size - count)], dim=1)
    return padded.unflatten(1, (group_size, groups)).transpose(1, 2)
