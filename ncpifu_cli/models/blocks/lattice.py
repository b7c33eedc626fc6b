"""Fixed location tokens (method section 9): a lattice of places in the image volume that is the same for every photo."""

import torch
from torch import Tensor, nn

from ncpifu_cli.geometry.sample import sample_volume


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

    def volume(self, tokens: Tensor) -> Tensor:
        """(B, S, C) -> (B, C, Z, Y, X)."""
        x, y, z = self.size
        return tokens.transpose(1, 2).unflatten(-1, (z, y, x))

    def at(self, volume: Tensor, points_ndc: Tensor) -> Tensor:
        """Trilinear interpolation of a token volume (B, C, Z, Y, X) at (B, N, 3) NDC -> (B, N, C); constant beyond the outermost tokens."""
        return sample_volume(volume, points_ndc / self.extent_ndc)
