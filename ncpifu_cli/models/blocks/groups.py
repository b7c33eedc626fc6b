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
    last places are padded by the curve's beginning, again. Every point is in at least one group; `grouped_once` undoes it.
    """
    count = points_ndc.shape[1]
    groups = -(-count // group_size)
    order = morton_code(points_ndc).argsort(dim=1, stable=True)
    padded = order[:, torch.arange(groups * group_size, device=order.device) % count]
    return padded.unflatten(1, (group_size, groups)).transpose(1, 2)


def grouped_once(values: Tensor, index: Tensor, count: int) -> Tensor:
    """(B, G, n, C) values at the places of `strided_groups` -> (B, count, C) by point: of one that is there more than once, the first along the curve."""
    batch, channels = len(values), values.shape[-1]
    along_curve = values.transpose(1, 2).reshape(batch, -1, channels)[:, :count]
    points = index.transpose(1, 2).reshape(batch, -1, 1)[:, :count]
    return torch.zeros_like(along_curve).scatter(1, points.expand(-1, -1, channels), along_curve)
