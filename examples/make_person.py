"""How `examples/person.jpg` and `examples/person_truth.glb` were made: synth -> render -> a studio backdrop.

    python examples/make_person.py [SEED]

The person is a held-out test human: no released weights were trained on it. Needs the `synth` extra.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import fast_simplification
import numpy as np
import trimesh
from scipy.spatial import cKDTree

from ncpifu_cli.data.dataset import read_view
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.stages.export import glb_bytes

HERE = Path(__file__).resolve().parent
FACES = 40_000  # of the true mesh we ship


def backdrop(size_px: int, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) float: a wall lit from the upper left and a lighter floor with a soft edge, a little sensor noise."""
    rows, columns = np.mgrid[:size_px, :size_px] / size_px
    wall = 178 - 28 * rows - 14 * columns
    floor = 1 / (1 + np.exp(-(rows - 0.86) * 60))
    grey = wall * (1 - floor) + (168 - 60 * (rows - 0.86)) * floor
    return grey[..., None] * np.array([1.0, 1.0, 0.985]) + rng.normal(0, 1.2, (size_px, size_px, 1))


def main(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scans, renders = Path(folder, "scans"), Path(folder, "renders")
        run = [sys.executable, "-m", "ncpifu_cli"]
        subprocess.run([*run, "synth", "-o", scans, "--split", "test", "--count", "1", "--seed", str(seed)], check=True)
        options = ["--yaw-step", "360", "--size", "2048", "--points", "1000", "--renderer", "raster", "--seed", "4"]
        subprocess.run([*run, "render", scans, "-o", renders, *options], check=True)
        subject = next(renders.glob("test-*"))
        rgb, mask = read_view(subject, {"rgb": "rgb/000.jpg", "mask": "mask/000.png"})
        rng = np.random.default_rng(0)
        cover = mask.astype(np.float32)[..., None]
        shadow = cv2.GaussianBlur(np.roll(cover, (8, 60), (0, 1)), (0, 0), 45)[..., None] * (np.mgrid[:2048, :2048][0] > 1780)[..., None]
        picture = rgb * cover + backdrop(2048, rng) * (1 - 0.25 * shadow) * (1 - cover)
        small = cv2.resize(picture.clip(0, 255).astype(np.uint8), (1024, 1024), interpolation=cv2.INTER_AREA)[:, 192:832]
        cv2.imwrite(str(HERE / "person.jpg"), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        scan = read_scan(find_scans(scans)[0])
    vertices, faces = fast_simplification.simplify(scan.vertices, scan.faces, target_count=FACES)
    colors = scan.colors[cKDTree(scan.vertices).query(vertices)[1]]
    (HERE / "person_truth.glb").write_bytes(glb_bytes(trimesh.Trimesh(vertices, faces, vertex_colors=colors, process=False)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
