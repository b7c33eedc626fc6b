"""How near the camera is, read off the encoder's last map (ours; not in the paper): a near camera sees feet from above and what reaches out large."""

from torch import Tensor, nn

GRID = (16, 8)  # rows and columns of the framed person that are told apart: feet say most


class CameraHead(nn.Module):
    """Feature map (B, C, h, w) -> (B, 3), `Perspective.parameters`: 1 / distance of the camera, NDC, and where its axis meets the person, x and y, times that.

    It starts at zero, an orthographic camera.
    """

    def __init__(self, channels: int, width: int = 32, hidden: int = 64) -> None:
        super().__init__()
        answer = nn.Linear(hidden, 3)
        nn.init.zeros_(answer.weight)
        nn.init.zeros_(answer.bias)
        cells = GRID[0] * GRID[1]
        self.read = nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(GRID), nn.Flatten(), nn.Linear(width * cells, hidden), nn.ReLU(), answer
        )

    def forward(self, feature_map: Tensor) -> Tensor:
        return self.read(feature_map).float()
