"""Neural code integration: MLP-Mixer over channels and over locations (paper eq. 8, 9; method section 7)."""

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelMixing(nn.Module):
    """Eq. 8: f + MLP_channel(f), pre-norm, within each token. (B, N, C) -> (B, N, C)."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = max(4, int(channels * expansion))
        self.norm = nn.LayerNorm(channels)
        self.enter, self.leave = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.leave(F.gelu(self.enter(self.norm(x))))


class LocationMixing(nn.Module):
    """Eq. 9: f + MLP_spatial(f), pre-norm, across a fixed number of tokens, each channel alike. (B, S, C) -> (B, S, C)."""

    def __init__(self, tokens: int, channels: int) -> None:
        super().__init__()
        hidden = max(4, tokens // 2)
        self.norm = nn.LayerNorm(channels)
        self.enter, self.leave = nn.Linear(tokens, hidden), nn.Linear(hidden, tokens)

    def forward(self, x: Tensor) -> Tensor:
        across = self.norm(x).transpose(1, 2)
        return x + self.leave(F.gelu(self.enter(across))).transpose(1, 2)
