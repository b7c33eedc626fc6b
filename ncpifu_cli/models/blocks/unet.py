"""U-Net image encoder of the compact profile: several times the images per second of stacked hourglasses on a CPU (docs/method.md)."""

import torch.nn.functional as F
from torch import Tensor, nn

from ncpifu_cli.models.blocks.hourglass import group_norm


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), group_norm(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two 3x3 convolutions beside a skip, activation first. Keeps the shape (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [group_norm(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, bias=False)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class WholeImageAttention(nn.Module):
    """Self-attention between all places of a small map: which way a body faces is seen at the head and the feet but matters everywhere."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels)
        self.in_proj = nn.Linear(channels, 3 * channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        batch, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        query, key, value = self.in_proj(tokens).view(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, height * width, channels)
        return x + self.out_proj(mixed).transpose(1, 2).view(batch, channels, height, width)


def _round(channels: int) -> nn.Sequential:
    residual, attention = Residual(channels), WholeImageAttention(channels, 8)
    for last in (residual.layers[-1], attention.out_proj):
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
    return nn.Sequential(residual, attention)


class UNet(nn.Module):
    """RGB -> one feature map at a quarter of the resolution and the stem's map at half of it: the hourglass's contract with a single stack.

    Down to 1/32 with twice `channels`, where all places attend to each other, and up again by adding what was there on the way down. `rounds` more of
    convolution and attention, at 1/16 and at 1/32 each, start as the identity: weights without them give the same features here.
    """

    def __init__(self, stem_channels: int, channels: int, rounds: int = 0) -> None:
        super().__init__()
        half, double = channels // 2, 2 * channels
        self.stem = _conv(3, stem_channels, 2)
        self.quarter = nn.Sequential(_conv(stem_channels, half, 2), _conv(half, half))
        self.down = nn.ModuleList(
            [
                nn.Sequential(_conv(half, channels, 2), Residual(channels)),
                nn.Sequential(_conv(channels, double, 2), Residual(double)),
                nn.Sequential(_conv(double, double, 2), Residual(double), WholeImageAttention(double, 8), Residual(double), WholeImageAttention(double, 8)),
            ]
        )
        self.further = nn.ModuleList([nn.Sequential(*(_round(double) for _ in range(rounds))) for _ in range(2)])  # at 1/16 and 1/32
        self.narrow = nn.ModuleList([nn.Conv2d(double, double, 1), nn.Conv2d(double, channels, 1), nn.Conv2d(channels, half, 1)])
        self.up = nn.ModuleList([Residual(double), Residual(channels), Residual(half)])
        self.output = nn.Conv2d(half, channels, 1)

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, 3, H, W) in [-1, 1] -> ([(B, C, H/4, W/4)], (B, C_stem, H/2, W/2))."""
        stem = self.stem(image)
        levels = [self.quarter(stem)]
        for down, further in zip(self.down, (nn.Identity(), *self.further), strict=True):
            levels.append(further(down(levels[-1])))
        current = levels.pop()
        for narrow, up in zip(self.narrow, self.up, strict=True):
            current = up(F.interpolate(narrow(current), scale_factor=2.0, mode="nearest") + levels.pop())
        return [self.output(F.relu(current))], stem
