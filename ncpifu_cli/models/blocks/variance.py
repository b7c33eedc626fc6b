"""Variance modelling (paper eq. 7; method section 5)."""

import torch
from torch import Tensor, nn


class VarianceModelling(nn.Module):
    """z + epsilon * V([z, x]) / ||V([z, x])||_2 per point; V is a small convolutional network of kernel 1 over points."""

    def __init__(self, code_channels: int, channels: int, epsilon: float) -> None:
        super().__init__()
        hidden = max(8, code_channels // 2)
        # A linear layer on the last axis is a convolution of kernel 1 over points.
        self.network = nn.Sequential(nn.Linear(code_channels + channels, hidden), nn.ReLU(), nn.Linear(hidden, code_channels))
        self.epsilon = epsilon

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """z (B, N, C_z), x (B, N, C) -> (B, N, C_z), moved by at most epsilon."""
        direction = self.network(torch.cat([z, x], dim=-1)).float()
        # The root of the clamped square has a finite gradient where V is 0; F.normalize's norm has none there.
        length = direction.square().sum(dim=-1, keepdim=True).clamp_min(1e-6).sqrt()
        return z + (self.epsilon * direction / length).to(z.dtype)


class NoVariance(nn.Module):
    """The ablation: z as it is."""

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """z unchanged."""
        return z
