"""Balls as `render` would leave them, by formula: something a tiny network learns in seconds."""

import csv
from pathlib import Path

import cv2
import numpy as np

from ncpifu_cli.artifacts import write_json
from ncpifu_cli.data.depth import encode_depth
from ncpifu_cli.geometry.camera import HALF_EXTENT_M

FILES = {"rgb": "jpg", "mask": "png", "depth": "png"}


def write_balls(root: Path) -> Path:
    """Four training subjects and a held-out one in `root`."""
    for index, radius in enumerate((0.4, 0.5, 0.6, 0.7)):
        write_ball(root, f"train-{index:06d}", radius)
    write_ball(root, "test-000000", 0.5)
    return root


def write_ball(root: Path, name: str, radius_m: float) -> None:
    """A ball, rendered by formula."""
    folder = root / name
    (folder / "rgb").mkdir(parents=True)
    (folder / "mask").mkdir()
    (folder / "depth").mkdir()
    size = 64
    rows, columns = np.mgrid[:size, :size] + 0.5
    x, y = (columns / size * 2 - 1) * HALF_EXTENT_M, (1 - rows / size * 2) * HALF_EXTENT_M
    mask = (x**2 + y**2 < radius_m**2).astype(np.uint8)
    height = np.sqrt(np.where(mask, radius_m**2 - x**2 - y**2, 0)) / HALF_EXTENT_M
    # No gap is in a ball; its layers say so on one side only, so that whoever reads gaps has some to read.
    depth = encode_depth(np.concatenate([height, -height, np.where(x < 0, height / 3, 0), np.where(x < 0, -height / 3, 0)]), np.tile(mask > 0, (4, 1)))
    views = []
    for yaw in (0, 90):
        cv2.imwrite(str(folder / f"rgb/{yaw:03d}.jpg"), mask[..., None] * np.array([40, 160, 220], np.uint8))
        cv2.imwrite(str(folder / f"mask/{yaw:03d}.png"), mask * 255)
        cv2.imwrite(str(folder / f"depth/{yaw:03d}.png"), depth)
        views.append({"yaw_deg": float(yaw), "pitch_deg": 0.0, **{kind: f"{kind}/{yaw:03d}.{ending}" for kind, ending in FILES.items()}})
    rng = np.random.default_rng(0)
    near = rng.normal(size=(4000, 3))
    near = near / np.linalg.norm(near, axis=1, keepdims=True) * radius_m + rng.normal(size=(4000, 3)) * 0.1
    uniform = rng.uniform(-HALF_EXTENT_M, HALF_EXTENT_M, (250, 3))

    def quantised(points: np.ndarray) -> np.ndarray:
        return np.round((np.clip(points, -1.28, 1.28) + 1.28) / 2.56 * 65535).astype(np.uint16)

    def inside(points: np.ndarray) -> np.ndarray:
        return np.packbits(np.linalg.norm(points, axis=1) < radius_m)

    np.savez_compressed(
        folder / "samples.npz",
        near_q=quantised(near),
        near_inside=inside(near),
        uniform_q=quantised(uniform),
        uniform_inside=inside(uniform),
        surface_q=quantised(near[:100] / np.linalg.norm(near[:100], axis=1, keepdims=True) * radius_m),
        surface_rgb=np.full((100, 3), 128, np.uint8),
        bounds_m=np.array([-1.28, 1.28], np.float32),
    )
    write_json(folder / "subject.json", {"format": "ncpifu-subject", "version": 1, "name": name, "hash": "0", "size_px": size, "views": views})


def losses(run: Path) -> dict[int, str]:
    """Step -> total loss as logged."""
    with open(run / "metrics.csv", newline="") as file:
        return {int(row["step"]): row["value"] for row in csv.DictReader(file) if row["name"] == "total"}
