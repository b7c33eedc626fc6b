"""What taking the perspective out of a mesh is worth: `python benchmarks/undone.py REPORT METHOD WEIGHTS -o FOLDER` (docs/reconstruct.md).

REPORT is what `ncpifu eval` wrote for humans of `near_scans.py`, METHOD a network's name in it and WEIGHTS that network. Its meshes have the perspective of
their cameras; FOLDER gets the same meshes with it taken out as `reconstruct` does. Which are nearer to the humans as they are, before a camera warped them:

    ncpifu eval --data data/scans --split SPLIT --align similarity --predictions in='REPORT/predictions/METHOD/{subject}_000.ply' \\
        --predictions out='FOLDER/{subject}_000.ply' -o data/eval/undone
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import trimesh

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.stages.eval_inputs import input_path, read_input
from ncpifu_cli.stages.query import NetworkOccupancy
from ncpifu_cli.stages.weights import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("method")
    parser.add_argument("weights", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        model = load_model(options.weights)
        meshes = sorted((options.report / "predictions" / options.method).glob("*_000.ply"))
        if not meshes:
            raise NcpifuError(f"{options.report} holds no meshes of {options.method!r} from the front", "run `ncpifu eval` on what near_scans.py wrote")
        options.output.mkdir(parents=True, exist_ok=True)
        for path in meshes:
            image, mask = read_input(input_path(options.report, model.config.image_size_px, path.stem.removesuffix("_000"), 0))
            camera = NetworkOccupancy(model, image, mask.astype(np.float32)).perspective
            mesh = trimesh.load_mesh(path, process=False)
            vertices = camera.undone(np.asarray(mesh.vertices) / HALF_EXTENT_M) * HALF_EXTENT_M
            with atomic_path(options.output / path.name) as temporary:
                trimesh.Trimesh(vertices, mesh.faces, process=False).export(temporary)
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
