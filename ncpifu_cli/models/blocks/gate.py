"""Gated function (paper eq. 6; method section 4)."""

import torch
from torch import Tensor, nn


class Gate(nn.Module):
    """Opens the first codes of the codebook, as many as the image's score pays for.

    gate_i = 1[ sigmoid(v_s - i^2 / lambda) > T ], lambda = gate_lambda * K^2, v_s a learned score of the globally averaged feature.
    Forward is the hard decision, backward the sigmoid (straight-through).
    """

    def __init__(self, size: int, channels: int, threshold: float, gate_lambda: float) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1)
        nn.init.zeros_(self.score.weight)
        # Start with nine tenths of the codes open at T = 0.5: closing is learned, starvation is not.
        nn.init.constant_(self.score.bias, 0.81 / gate_lambda)
        self.threshold = threshold
        self.register_buffer("price", torch.arange(size).float() ** 2 / (gate_lambda * size**2), persistent=False)
        self.price: Tensor

    def forward(self, average: Tensor) -> Tensor:
        """(B, C) globally averaged features -> (B, K), 0 or 1 with the sigmoid's gradient."""
        soft = torch.sigmoid(self.score(average).float() - self.price)
        return (soft > self.threshold).float() + soft - soft.detach()


class OpenGate(nn.Module):
    """The ablation's gate: every code open."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, average: Tensor) -> Tensor:
        """(B, C) -> ones (B, K)."""
        return average.new_ones(average.shape[0], self.size, dtype=torch.float32)
