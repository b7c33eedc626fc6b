"""Neural codebook learning (paper eq. 5; method section 3)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.models.api import CodebookReport

SAMPLES = 64  # normalised inputs kept per pass, from which dead codes are revived


class Codebook(nn.Module):
    """K learned codes; each point is answered by its n most representative ones.

    Eq. 5 as softmax relaxation of nearest neighbour, p_i = exp(-||z_i - x|| / tau) / sum_n exp(-||z_n - x|| / tau). Forward uses the hard
    selection (n largest, renormalised), backward the soft p (straight-through). Codes and inputs are scaled to one length, since otherwise
    the features' scale decides everything and a handful of codes takes all points.
    """

    def __init__(self, size: int, channels: int, select: int, temperature: float, norm: float) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(size, channels))  # eq. 5: N(0, 1)
        self.select, self.temperature, self.norm = select, temperature, norm

    def normalised_codes(self) -> Tensor:
        """(K, C), every code of length `norm`."""
        return self.norm * F.normalize(self.codes.float(), dim=-1)

    def normalised(self, x: Tensor) -> Tensor:
        """(..., C) layer-normalised and scaled to length `norm`."""
        return self.norm * F.normalize(F.layer_norm(x.float(), x.shape[-1:]), dim=-1)

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, CodebookReport]:
        """Codes for points.

        Args: x (B, N, C) features; gate (B, K), 1 open, 0 closed (straight-through values from the gate of eq. 6).
        Returns z (B, N, C), the selected mixture of codes (zero where every code is closed), and the codebook's report.
        """
        codes, query = self.normalised_codes(), self.normalised(x)
        # ||z - x||^2 = 2 norm^2 - 2 z.x, both having length `norm`; the clamp keeps the root's gradient finite.
        squared = (2 * self.norm**2 - 2 * query @ codes.t()).clamp_min(1e-4)
        weight = torch.softmax(-squared.sqrt() / self.temperature, dim=-1) * gate[:, None, :]
        soft = weight / weight.sum(dim=-1, keepdim=True).clamp_min(1e-8)
        chosen = _only_largest(soft.detach(), self.select) + soft - soft.detach()
        return (chosen @ codes).to(x.dtype), self._report(soft, gate, query)

    def _report(self, soft: Tensor, gate: Tensor, query: Tensor) -> CodebookReport:
        size = soft.shape[-1]
        mean = soft.mean(dim=(0, 1))
        balance = (mean * (mean.clamp_min(1e-8).log() + math.log(size))).sum()
        with torch.no_grad():
            first = soft.argmax(dim=-1).reshape(-1)
            usage = torch.bincount(first, minlength=size).float() / first.numel()
            flat = query.reshape(-1, query.shape[-1])
            stride = max(1, len(flat) // SAMPLES)
            return CodebookReport(usage, balance, gate.mean(), flat[::stride][:SAMPLES].clone())

    @torch.no_grad()
    def revive(self, dead: Tensor, samples: Tensor) -> int:
        """Put codes that nobody uses where the data is.

        Args: dead (K,) bool; samples (M, C) normalised inputs. Returns how many codes were moved.
        """
        which = dead.nonzero()[:, 0]
        if len(which) == 0 or len(samples) == 0:
            return 0
        source = samples[torch.arange(len(which), device=samples.device) * len(samples) // max(len(which), len(samples)) % len(samples)]
        # New codes keep the length of the living ones, so that one optimiser step turns them as far as any other.
        length = self.codes[~dead].norm(dim=-1).mean() if bool((~dead).any()) else self.codes.norm(dim=-1).mean()
        self.codes[which] = (F.normalize(source.to(self.codes.dtype), dim=-1) * length).to(self.codes.dtype)
        return len(which)


def _only_largest(weight: Tensor, count: int) -> Tensor:
    """(..., K) -> the `count` largest along the last axis, normalised to sum 1, the rest 0. A few maxima are found faster than `topk` sorts."""
    left = weight
    for _ in range(count - 1):
        left = left.masked_fill(left == left.amax(dim=-1, keepdim=True), 0.0)
    kept = weight * (weight >= left.amax(dim=-1, keepdim=True))
    return kept / kept.sum(dim=-1, keepdim=True).clamp_min(1e-8)


class NoCodebook(nn.Module):
    """The ablation's codebook: an empty code, so that [x | z] is x."""

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, None]:
        """(B, N, C) -> (B, N, 0)."""
        return x[..., :0], None


def perplexity(usage: Tensor) -> Tensor:
    """(K,) shares that sum to 1 -> how many codes are effectively in use, between 1 and K."""
    return torch.exp(-(usage * usage.clamp_min(1e-10).log()).sum())
