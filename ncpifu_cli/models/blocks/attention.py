"""Global geometric correlation: self-attention with 3D positional encoding (paper eq. 4; method section 6)."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeysValues(NamedTuple):
    """What points attend to: keys and values, (B, heads, S, width / heads) each."""

    keys: Tensor
    values: Tensor


class PositionalEncoding(nn.Module):
    """Sines and cosines of a 3D position in NDC at octaves, mixed to `width` channels. (B, N, 3) -> (B, N, width)."""

    OCTAVES = 6  # finest period 2 / 2^5 NDC, 6 cm: the spacing that matters between tokens, not between grid points

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(6 * self.OCTAVES, width)
        self.register_buffer("frequency", math.pi * 2.0 ** torch.arange(self.OCTAVES), persistent=False)
        self.frequency: Tensor

    def forward(self, points_ndc: Tensor) -> Tensor:
        angle = (points_ndc.float()[..., None] * self.frequency).flatten(-2)
        return self.mix(torch.cat([angle.sin(), angle.cos()], dim=-1))


class GlobalAttention(nn.Module):
    """x_g = x_c + SA(x_c): each point weighs the tokens it is shown (eq. 4, position added to Q, K and V).

    The skip keeps the point's own feature, which eq. 4 gets from the point being among its own keys.
    """

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.position = PositionalEncoding(width)
        self.query = nn.Linear(channels, width)
        self.key_value = nn.Linear(channels, 2 * width)
        self.output = nn.Linear(width, channels)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, tokens: Tensor, tokens_ndc: Tensor) -> KeysValues:
        """tokens (B, S, C) at tokens_ndc (B, S, 3) -> keys and values."""
        position = self.position(tokens_ndc)
        keys, values = self.key_value(self.norm(tokens)).chunk(2, dim=-1)
        return KeysValues(self._split(keys + position), self._split(values + position))

    def forward(self, x: Tensor, points_ndc: Tensor, seen: KeysValues) -> Tensor:
        """x (B, N, C) at points_ndc (B, N, 3) -> x_g (B, N, C)."""
        query = self._split(self.query(self.norm(x)) + self.position(points_ndc))
        answer = F.scaled_dot_product_attention(query, seen.keys, seen.values)
        return x + self.output(answer.transpose(1, 2).flatten(-2))
