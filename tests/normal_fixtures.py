"""Humps as `render --maps normal` leaves them, by formula: a half ball in front, a flat back; and a network file of no skill."""

from pathlib import Path

import cv2
import numpy as np

from ncpifu_cli.artifacts import write_json
from ncpifu_cli.data.depth import LAYERS, SIZE_PX, encode_depth
from ncpifu_cli.data.light import white

SIZE = 96
RADIUS = 0.6


def hump(size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """(S, S) bool and (S, S, 3) normals of a half ball that faces the camera."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    x, y = columns / size * 2 - 1, 1 - rows / size * 2
    mask = x**2 + y**2 < RADIUS**2
    z = np.sqrt(np.where(mask, RADIUS**2 - x**2 - y**2, 0))
    return mask, np.stack([x, y, z], axis=2) / RADIUS * mask[..., None]


def stored_depth(round_side: bool) -> np.ndarray:
    """Depth as `render` stores it: the half ball stands on the plane z = 0."""
    mask, normals = hump(SIZE_PX)
    front = (normals[..., 2] * RADIUS * round_side).astype(np.float32)
    return encode_depth(np.concatenate([front, 0 * front, 0 * front, 0 * front]), np.concatenate([mask] * LAYERS))


def write_hump(root: Path, name: str = "train-000001", yaws: tuple[int, ...] = (0, 180), pitches: tuple[int, ...] = (0,), size: int = SIZE) -> Path:
    """A subject whose view at yaw 0 is the half ball, and flat from behind, leaning a little to its own left (the picture's left from there)."""
    mask, round_side = hump(size)
    flat_side = np.where(mask[..., None], np.array([-0.6, 0.0, 0.8]), 0)
    views = []
    for yaw in yaws:
        for pitch in pitches:
            normals = round_side if yaw == 0 else flat_side
            stem = f"{yaw:03d}_{pitch:+d}"
            files = {"rgb": f"rgb/{stem}.png", "mask": f"mask/{stem}.png", "normal_map": f"normal_map/{stem}.png"}
            for file in files.values():
                (root / name / file).parent.mkdir(parents=True, exist_ok=True)
            shade = np.clip(255 * (normals @ [0.5, 0.5, 0.7]), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / name / files["rgb"]), np.repeat(shade[..., None], 3, 2))
            cv2.imwrite(str(root / name / files["mask"]), mask.astype(np.uint8) * 255)
            stored = np.rint((normals + 1) * 127.5).astype(np.uint8) * mask[..., None]
            cv2.imwrite(str(root / name / files["normal_map"]), stored[..., ::-1])
            files["depth"] = f"depth/{stem}.png"
            (root / name / "depth").mkdir(exist_ok=True)
            cv2.imwrite(str(root / name / files["depth"]), stored_depth(yaw == 0))
            views.append({"yaw_deg": float(yaw), "pitch_deg": float(pitch), "light": white().tolist(), **files})
    write_json(root / name / "subject.json", {"format": "ncpifu-subject", "version": 1, "name": name, "hash": "0", "size_px": size, "views": views})
    return root
