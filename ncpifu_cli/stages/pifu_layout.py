"""PIFu's own training layout beside ours, so that code of the PIFu family can train on any scan (design: protocol A.2).

    RENDER/<subject>/<yaw>_<pitch>_<light>.jpg     the pictures and masks of the subject's folder (hard links where the file system has them)
    MASK/<subject>/<yaw>_<pitch>_<light>.png
    PARAM/<subject>/<yaw>_<pitch>_<light>.npy      ortho_ratio, scale, center, R, sh
    GEO/OBJ/<subject>/<subject>_100k.obj           centimetres of the 1.80 m subject, feet at y = 0
    val.txt                                        the subjects that training leaves out

PIFu samples with 5 cm of noise in a box of centimetres whatever the scan's unit is, so the mesh is not the raw one.
"""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ncpifu_cli.artifacts import HELD_OUT_PREFIXES, atomic_path, read_json, temporary_prefix, write_json
from ncpifu_cli.geometry.camera import SUBJECT_HEIGHT_M, Camera
from ncpifu_cli.geometry.mesh import Scan

MARKER = "pifu.json"  # in the subject's folder: goes away with it when the subject is drawn anew
ORTHO_RATIO = 0.4  # of PIFu's 512 px pictures: 204.8 cm across, as ours
FEET_TO_MIDDLE_CM = 100 * SUBJECT_HEIGHT_M / 2


def is_laid_out(out: Path, subject: str) -> bool:
    """Has `lay_out` finished for this subject as it is now?"""
    return (out / subject / MARKER).is_file()


def lay_out(out: Path, scan: Scan) -> None:
    """Add a complete subject of `out` to the PIFu tree there."""
    manifest = read_json(out / scan.name / "subject.json")
    with tempfile.TemporaryDirectory(prefix=temporary_prefix(), suffix=f"-{scan.name}", dir=out) as temporary:
        staging = Path(temporary)
        for part in ("RENDER", "MASK", "PARAM", "GEO"):
            (staging / part).mkdir()
        _write_obj(staging / "GEO" / f"{scan.name}_100k.obj", scan)
        lights: Counter[tuple[float, float]] = Counter()
        for view in manifest["views"]:
            camera = Camera(view["yaw_deg"], view["pitch_deg"])
            name = f"{camera.yaw_deg:.0f}_{camera.pitch_deg:.0f}_{lights[camera.yaw_deg, camera.pitch_deg]:02d}"
            lights[camera.yaw_deg, camera.pitch_deg] += 1
            _link(out / scan.name / view["rgb"], staging / "RENDER" / f"{name}.jpg")
            _link(out / scan.name / view["mask"], staging / "MASK" / f"{name}.png")
            # PIFu reads a pickled dictionary here. We only ever write one.
            np.save(staging / "PARAM" / f"{name}.npy", np.array(_parameters(camera, view["light"], manifest["size_px"]), dtype=object))
        for part in ("GEO", "PARAM", "MASK", "RENDER"):  # PIFu lists RENDER: a subject must not be seen there before it is whole
            _replace(staging / part, out / ("GEO/OBJ" if part == "GEO" else part) / scan.name)
    write_json(out / scan.name / MARKER, {"views": len(manifest["views"])})


def write_validation_list(out: Path) -> list[str]:
    """Write `val.txt`: held-out subjects (`test-`, `ood-`) of the tree, which PIFu does not train on; returns them."""
    held_out = sorted(folder.name for folder in (out / "RENDER").iterdir() if folder.name.startswith(HELD_OUT_PREFIXES))
    # PIFu's np.loadtxt makes a scalar of a single name and then asks for its length; the same name twice does no harm.
    lines = held_out * 2 if len(held_out) == 1 else held_out
    with atomic_path(out / "val.txt") as temporary:
        temporary.write_text("".join(f"{name}\n" for name in lines), encoding="utf-8")
    return held_out


def _parameters(camera: Camera, light: list[list[float]], size_px: int) -> dict[str, Any]:
    return {
        "ortho_ratio": ORTHO_RATIO * 512 / size_px,
        "scale": 1.0,
        "center": np.array([0.0, FEET_TO_MIDDLE_CM, 0.0]),
        "R": camera.rotation,
        "sh": np.array(light),
    }


def _write_obj(path: Path, scan: Scan) -> None:
    centimetres = scan.vertices.astype(np.float64) * 100 + [0, FEET_TO_MIDDLE_CM, 0]
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"v {x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in centimetres.tolist())
        file.writelines(f"f {a} {b} {c}\n" for a, b, c in (scan.faces + 1).tolist())


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    os.replace(source, target)
