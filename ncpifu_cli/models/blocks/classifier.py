"""The surface classifier F_Q (paper eq. 3; PIFu's residual MLP; method section 8)."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SurfaceClassifier(nn.Module):
    """MLP whose input is fed again into every layer but the first. (B, N, C) -> logits (B, N); sigmoid is occupancy."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = [channels, *(width + channels for width in widths)]
        self.layers = nn.ModuleList([nn.Linear(i, o) for i, o in zip(inputs, [*widths, 1], strict=True)])

    @torch.no_grad()
    def lower(self, logit: float) -> None:
        """Lower every answer by `logit`: points that had it are on the surface from now on."""
        cast("nn.Linear", self.layers[-1]).bias.sub_(logit)

    def forward(self, x: Tensor) -> Tensor:
        current: Tensor = self.layers[0](x)
        for layer in cast("list[nn.Linear]", list(self.layers[1:-1])):
            current = self._next(layer, current, x)
        # In bfloat16 the two summands would often cancel to exactly 0, and a surface would go through the corners of the grid.
        with torch.autocast(x.device.type, enabled=False):
            return self._next(cast("nn.Linear", self.layers[-1]), current.float(), x.float())[..., 0]

    @staticmethod
    def _next(layer: nn.Linear, current: Tensor, x: Tensor) -> Tensor:
        # W [h | x] = W_h h + W_x x without writing [h | x] to memory.
        from_hidden, from_input = layer.weight.tensor_split([current.shape[-1]], dim=1)
        return F.linear(F.leaky_relu(current), from_hidden, layer.bias) + F.linear(x, from_input)
