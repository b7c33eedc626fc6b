"""A drawn person, photos of it, and a network that answers with its inflated outline: what the tests of `reconstruct` work on."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.model import ModelConfig
from ncpifu_cli.models.api import Seen
from ncpifu_cli.stages.weights import LoadedModel


def draw_person(width: int = 300, height: int = 400) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """RGB (H, W, 3) on black and mask (H, W): head, red shirt, arms, blue trousers; anti-aliased colours, hard mask. Feet end at 95 % of the height."""
    scale = height / 400 * 8
    canvas = np.zeros((height * 8, width * 8, 3), np.uint8)
    cover = np.zeros((height * 8, width * 8), np.uint8)
    middle = width * 4

    def part(shape: str, colour: tuple[int, int, int], points: list[tuple[float, float]], thickness: float = 0) -> None:
        at = [(round(middle + x * scale), round(y * scale)) for x, y in points]
        for image, value in ((canvas, colour), (cover, 255)):
            if shape == "line":
                cv2.line(image, at[0], at[1], value, round(thickness * scale))
            else:
                cv2.ellipse(image, at[0], (round(points[1][0] * scale), round(points[1][1] * scale)), 0, 0, 360, value, -1)

    part("line", (40, 60, 150), [(-18, 200), (-24, 350)], 26)
    part("line", (40, 60, 150), [(18, 200), (24, 350)], 26)
    part("line", (30, 30, 30), [(-26, 360), (-30, 372)], 16)
    part("line", (30, 30, 30), [(26, 360), (30, 372)], 16)
    part("line", (170, 40, 40), [(-36, 95), (-75, 185)], 18)
    part("line", (170, 40, 40), [(36, 95), (75, 185)], 18)
    part("ellipse", (180, 45, 45), [(0, 140), (42, 70)])
    part("ellipse", (200, 150, 120), [(0, 48), (20, 28)])
    size = (width, height)
    return cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), cv2.resize(cover, size, interpolation=cv2.INTER_AREA) >= 128


def wall_photo(width: int = 300, height: int = 400, noise: float = 2.0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The person before a wall with a soft gradient and some camera noise, and the true mask."""
    person, mask = draw_person(width, height)
    y, x = np.mgrid[0:height, 0:width]
    wall = np.stack([200 - 40 * y / height, 205 - 30 * x / width, 190 - 20 * y / height], axis=-1)
    wall += np.random.default_rng(0).normal(0, noise, wall.shape)
    return np.where(mask[..., None], person, np.clip(wall, 0, 255)).astype(np.uint8), mask


def busy_photo(width: int = 300, height: int = 400) -> NDArray[np.uint8]:
    """The person before a background of coloured blocks that no model-free method can tell from it."""
    person, mask = draw_person(width, height)
    blocks = np.random.default_rng(1).integers(0, 256, (20, 15, 3)).astype(np.uint8)
    return np.where(mask[..., None], person, cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)).astype(np.uint8)


def save_rgba(path: Path, width: int = 300, height: int = 400) -> Path:
    """A cut-out PNG of the person."""
    person, mask = draw_person(width, height)
    cv2.imwrite(str(path), np.dstack([person[..., ::-1], mask.astype(np.uint8) * 255]))
    return path


class InflatedOutline:
    """encode/query of a body as thick as its outline is wide; no weights, exact, fast.

    gap: NDC length of the gap that it claims to see everywhere. camera: what it says of the camera, `Perspective.parameters`.
    """

    gap = 0.0
    camera = None

    def encode(self, image, both_ways):
        import torch

        mask = (image[0].abs().sum(0) > 0).cpu().numpy().astype(np.uint8)
        inner = cv2.distanceTransform(mask, cv2.DIST_L2, 5) / (mask.shape[0] / 2)
        depth = 8.0 * torch.tensor([1.0, -1.0, self.gap / 2, -self.gap / 2]).view(1, 1, 4, 1, 1).expand(1, 1, 4, 32, 32)
        return SimpleNamespace(
            thickness=torch.from_numpy(np.sqrt(0.12 * inner).astype(np.float32)),
            seen=Seen(depth, None if self.camera is None else torch.tensor([self.camera])),
        )

    def query(self, features, points_ndc):
        import torch

        grid = torch.stack([points_ndc[..., 0], -points_ndc[..., 1]], dim=-1)[:, None]
        thickness = torch.nn.functional.grid_sample(features.thickness[None, None], grid, align_corners=False)[0, 0]
        return SimpleNamespace(occupancy=torch.sigmoid(60 * (thickness - points_ndc[..., 2].abs() - 0.02)))


def fake_model(size_px: int = 128) -> LoadedModel:
    """A LoadedModel around InflatedOutline."""
    import torch

    config = ModelConfig(profile="test", image_size_px=size_px)
    return LoadedModel(InflatedOutline(), config, {}, torch.device("cpu"), "0" * 64, Path("test.safetensors"))
