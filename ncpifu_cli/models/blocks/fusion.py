"""Context-aware latent fusion (paper section 3.2; method section 6): input feature and neural code become the coarse feature."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.models.api import CodebookReport


class MLPFusion(nn.Module):
    """Fuse([x | z]): a 4-layer residual MLP. (B, N, C), (B, N, C_z) -> (B, N, width)."""

    LAYERS = 4  # paper section 4

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(channels, width)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(self.LAYERS - 1)])

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        current = self.enter(torch.cat([x, z], dim=-1))
        for layer in self.layers:
            current = current + layer(F.gelu(current))
        return current


class SumFusion(nn.Module):
    """Ablation `no_fusion`: x + z."""

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return x + z if z.shape[-1] else x


class CodeFusion(nn.Module):
    """Ablation `codebooks_no_fusion`: z alone."""

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return z


class Branch(nn.Module):
    """One branch, local or global: codebook -> variance -> fusion."""

    def __init__(self, codebook: nn.Module, variance: nn.Module, fusion: nn.Module) -> None:
        super().__init__()
        self.codebook, self.variance, self.fusion = codebook, variance, fusion

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, CodebookReport | None]:
        """x (B, N, C), gate (B, K) -> coarse feature (B, N, width) and the codebook's report (None without codebook)."""
        z, report = self.codebook(x, gate)
        return self.fusion(x, self.variance(z, x)), report
