"""Exponential moving average of the weights: what is evaluated and released."""

import torch
from torch import Tensor, nn


class AveragedWeights:
    """shadow <- decay * shadow + (1 - decay) * weights, with a short memory at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow: dict[str, Tensor] = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            self.shadow[name].lerp_(value, 1 - decay) if value.is_floating_point() else self.shadow[name].copy_(value)
