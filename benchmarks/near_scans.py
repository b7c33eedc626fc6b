"""Held-out humans as near cameras warp them, to be scored by `ncpifu eval`: `python benchmarks/near_scans.py SCANS SPLIT -o FOLDER` (docs/method.md).

What a near camera sees of a human is, exactly, what an orthographic one sees of the human warped by it. Each of SPLIT (a text file of names) gets a camera,
2.2 to 5.5 NDC away, from a fixed seed; `ncpifu eval --data FOLDER --split SPLIT` measures against the warped truth.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from ncpifu_cli.artifacts import atomic_folder, read_json, write_json
from ncpifu_cli.data.perspective import near_camera
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.synth.assemble import Mesh, encode_draco

FURTHEST = 2.5  # times the nearest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", type=Path, help="what `ncpifu synth` wrote")
    parser.add_argument("split", type=Path)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    try:
        known = {source.name: source for source in find_scans(options.scans)}
        for name in options.split.read_text().split():
            if name not in known:
                raise NcpifuError(f"there is no {name} in {options.scans}", "make it with `ncpifu synth`")
            scan = read_scan(known[name])
            camera = near_camera(rng.uniform(1 / FURTHEST, 1), rng)
            warped = camera.points((scan.vertices / HALF_EXTENT_M).astype(np.float32)) * np.float32(HALF_EXTENT_M)
            with atomic_folder(options.output / name) as folder:
                (folder / "mesh.drc").write_bytes(encode_draco(Mesh(warped, scan.faces, scan.colors)))
                write_json(folder / "meta.json", {**read_json(known[name].path.parent / "meta.json"), "camera": [camera.distance_ndc, *camera.axis_ndc]})
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
