"""Stacked hourglass image encoder (paper section 4; PIFu's configuration with GroupNorm; method section 2)."""

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Group normalisation in the type of its input, summed in float32: a GPU's autocast would copy every feature map to float32 and back."""

    def forward(self, x: Tensor) -> Tensor:
        device = x.device.type
        with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():  # not on `meta`, where shapes are counted
            return F.group_norm(x, self.num_groups, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


def group_norm(channels: int) -> GroupNorm:
    """GroupNorm with up to 32 groups, at least 4 channels in each where that is possible."""
    groups = min(32, max(1, channels // 4))
    while channels % groups:
        groups -= 1
    return GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """PIFu's block: three 3x3 convolutions of 1/2, 1/4 and 1/4 of the channels, concatenated, plus a skip. (B, C_in, H, W) -> (B, C_out, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.norms = nn.ModuleList([group_norm(inputs), group_norm(half), group_norm(quarter)])
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(inputs, half, 3, padding=1, bias=False),
                nn.Conv2d(half, quarter, 3, padding=1, bias=False),
                nn.Conv2d(quarter, outputs - half - quarter, 3, padding=1, bias=False),
            ]
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        current = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            current = conv(F.relu(norm(current)))
            parts.append(current)
        return torch.cat(parts, dim=1) + self.skip(x)


class Hourglass(nn.Module):
    """Down `depth` times by average pooling and up again, with a block on every level's skip. Keeps the shape (B, C, H, W)."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.skip = ResidualBlock(channels, channels)
        self.down = ResidualBlock(channels, channels)
        self.inner = Hourglass(channels, depth - 1) if depth > 1 else ResidualBlock(channels, channels)
        self.up = ResidualBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        low = self.up(self.inner(self.down(F.avg_pool2d(x, 2))))
        return self.skip(x) + F.interpolate(low, scale_factor=2.0, mode="bilinear", align_corners=False)


class StackedHourglass(nn.Module):
    """RGB -> one feature map per stack at a quarter of the resolution, and the stem's map at half of it."""

    def __init__(self, stem_channels: int, channels: int, stacks: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, stem_channels, 7, stride=2, padding=3), group_norm(stem_channels), nn.ReLU())
        middle = channels // 2
        self.lift = ResidualBlock(stem_channels, middle)
        self.widen = nn.Sequential(ResidualBlock(middle, middle), ResidualBlock(middle, channels))
        self.hourglasses = nn.ModuleList([Hourglass(channels, depth) for _ in range(stacks)])
        self.heads = nn.ModuleList(
            [nn.Sequential(ResidualBlock(channels, channels), nn.Conv2d(channels, channels, 1), group_norm(channels), nn.ReLU()) for _ in range(stacks)]
        )
        self.outputs = nn.ModuleList([nn.Conv2d(channels, channels, 1) for _ in range(stacks)])
        self.back = nn.ModuleList([nn.Conv2d(2 * channels, channels, 1) for _ in range(stacks - 1)])

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, 3, H, W) in [-1, 1] -> ([(B, C, H/4, W/4)] per stack, (B, C_stem, H/2, W/2))."""
        stem = self.stem(image)
        current = self.widen(F.avg_pool2d(self.lift(stem), 2))
        maps = []
        for index, (hourglass, head, output) in enumerate(zip(self.hourglasses, self.heads, self.outputs, strict=True)):
            hidden = head(hourglass(current))
            maps.append(output(hidden))
            if index < len(self.back):
                current = current + self.back[index](torch.cat([hidden, maps[-1]], dim=1))
        return maps, stem
