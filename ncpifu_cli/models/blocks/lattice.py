"""Fixed location tokens (method section 9): a lattice of places in the image volume that is the same for every photo."""

import torch
from torch import Tensor, nn


class Lattice(nn.Module):
    """S = X * Y * Z places; token i is always the same place, so mixing across locations has a meaning."""

    def __init__(self, size: tuple[int, int, int], extent_ndc: tuple[float, float, float]) -> None:
        super().__init__()
        axes = [torch.linspace(-e, e, n) if n > 1 else torch.zeros(1) for n, e in zip(size, extent_ndc, strict=True)]
        z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
        self.size = size
        self.register_buffer("places_ndc", torch.stack([x, y, z], dim=-1).reshape(-1, 3), persistent=False)
        self.register_buffer("extent_ndc", torch.tensor(extent_ndc), persistent=False)
        self.places_ndc: Tensor
        self.extent_ndc: Tensor

    def __len__(self) -> int:
        return self.places_ndc.shape[0]

    def points(self, batch: int) -> Tensor:
        """(B, S, 3), NDC."""
        return self.places_ndc.expand(batch, -1, -1)

    def at(self, tokens: Tensor, points_ndc: Tensor) -> Tensor:
        """Trilinear interpolation of tokens (B, S, C) at (B, N, 3) NDC -> (B, N, C); constant beyond the outermost tokens.

        As one matrix product with a few hundred tokens this is faster than sampling a volume, forward and backward.
        """
        x, y, z = (_hat(points_ndc[..., axis] / self.extent_ndc[axis], size) for axis, size in enumerate(self.size))
        weights = (z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]).flatten(2)
        return weights.to(tokens.dtype) @ tokens


def _hat(place: Tensor, size: int) -> Tensor:
    """(..., N) in units of the half size -> (..., N, size) weights of linear interpolation, which sum to 1."""
    index = ((place.clamp(-1, 1) + 1) / 2 * (size - 1)).unsqueeze(-1)
    return (1 - (index - torch.arange(size, device=place.device)).abs()).clamp_min(0)
