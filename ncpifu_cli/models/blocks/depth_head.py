"""Auxiliary depth of the surfaces along each ray, read off the encoder's maps (ours; not in the paper).

Units of phi; (S, B, L, h, w): front and back, and with L = 4 where the gap between them begins and ends (`data/depth.py`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.models.blocks.hourglass import group_norm

# A gap that is told to points begins and ends at least so far apart: less than the 2 cm of the labels (`data/depth.py`), since predictions are smoothed.
GAP_SEEN_NDC = 0.015
# A gap that is nowhere wider is a doubt: of what such gaps claim, less than a fifth is true (docs/method.md).
SURE_GAP_NDC = 0.08


def gap_within(surfaces: Tensor, depth_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Begin and end of the gap between front and back, and whether there is one: (..., 1) each, of surfaces (..., 4) in units of phi."""
    front, back, begin, end = surfaces.split(1, dim=-1)
    begin, end = torch.minimum(begin, front), torch.maximum(end, back)
    return begin, end, begin - end > GAP_SEEN_NDC * depth_scale


def without_doubtful_gaps(surfaces: Tensor, depth_scale: float) -> Tensor:
    """Surfaces (S, B, L, h, w), units of phi, with those gaps closed that are nowhere wider than SURE_GAP_NDC, over pixels that touch.

    What they claim, an arm before the chest say, would be a torn ledge on it.
    """
    if surfaces.shape[2] == 2:
        return surfaces
    flat = surfaces.flatten(0, 1)
    outer, gap = flat.split(2, dim=1)
    begin, end, seen = (part.movedim(-1, 1) for part in gap_within(flat.movedim(1, -1), depth_scale))
    kept, pixels = begin - end > SURE_GAP_NDC * depth_scale, -1
    while pixels != (pixels := int(kept.sum())):
        kept = seen & (F.max_pool2d(kept.float(), 3, stride=1, padding=1) > 0)
    closed = torch.where(seen & ~kept, gap.mean(dim=1, keepdim=True), gap)
    return torch.cat([outer, closed], dim=1).view_as(surfaces)


def _without_gap(read: nn.Conv2d) -> nn.Conv2d:
    """Begin and end of the gap start as the middle between front and back: there is none until targets tell them apart."""
    with torch.no_grad():
        for part in (read.weight, read.bias):
            assert part is not None
            part[2:] = part[:2].mean(dim=0)
    return read


class DepthHead(nn.Module):
    """A linear read-out at a quarter of the image's resolution, so that the features themselves must know the depth."""

    def __init__(self, channels: int, layers: int = 2) -> None:
        super().__init__()
        self.read = _without_gap(nn.Conv2d(channels, layers, 1))

    def forward(self, feature_maps: Sequence[Tensor], stem: Tensor) -> Tensor:
        """Feature maps (B, C, H/4, W/4), stem (B, C_stem, H/2, W/2) -> (S, B, L, H/4, W/4)."""
        return torch.stack([self.read(feature_map) for feature_map in feature_maps])


class FineDepthHead(nn.Module):
    """The linear read-out, enlarged, plus a correction that the stem's edges tell: at a quarter of 256 px a lower leg is three pixels wide.

    The correction starts at zero: weights of a `DepthHead` give the same depths here.
    """

    def __init__(self, channels: int, stem_channels: int, layers: int = 2, width: int = 32) -> None:
        super().__init__()
        self.read = _without_gap(nn.Conv2d(channels, layers, 1))
        self.from_features = nn.Conv2d(channels, width, 1)
        self.from_stem = nn.Conv2d(stem_channels, width, 1)
        mixing = [nn.Sequential(group_norm(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1, bias=False)) for _ in range(2)]
        self.mix = nn.Sequential(*mixing, group_norm(width), nn.ReLU())
        self.correct = nn.Conv2d(width, layers, 1)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)  # type: ignore[arg-type]

    def forward(self, feature_maps: Sequence[Tensor], stem: Tensor) -> Tensor:
        """Feature maps (B, C, H/4, W/4), stem (B, C_stem, H/2, W/2) -> (S, B, L, H/2, W/2)."""
        edges = self.from_stem(stem)
        return torch.stack([self._depth(feature_map, edges) for feature_map in feature_maps])

    def _depth(self, feature_map: Tensor, edges: Tensor) -> Tensor:
        coarse = F.interpolate(self.read(feature_map), scale_factor=2.0, mode="bilinear")
        return coarse + self.correct(self.mix(edges + F.interpolate(self.from_features(feature_map), scale_factor=2.0, mode="bilinear")))
