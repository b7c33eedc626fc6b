"""What scoring one subject costs, and exact distances side by side: libigl's tree (ours), trimesh's proximity query, and a tree of samples.

Run `python benchmarks/evaluation.py SCAN PREDICTION`: a scan as `ncpifu eval` reads it, and a mesh of the same subject in metres of the camera's frame, for
example data/scans/test-000000/mesh.drc and data/eval/synthetic/predictions/compact/test-000000_000.ply. Prints the tables of docs/evaluation.md.
trimesh's query needs `pip install rtree`. CPU seconds of one thread are counted, as other work on the machine then matters little.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.geometry.metrics import SurfaceTree
from ncpifu_cli.geometry.surface import sample_surface
from ncpifu_cli.stages.eval_meshes import read_mesh
from ncpifu_cli.stages.eval_methods import MeshFile
from ncpifu_cli.stages.eval_score import SubjectTask, score_subject

POINTS = 100_000
Distance = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def tree_of_triangles(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Distance:
    return SurfaceTree(vertices, faces).distance_m


def trimesh_proximity(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Distance:
    import trimesh

    query = trimesh.proximity.ProximityQuery(trimesh.Trimesh(vertices, faces, process=False))
    query.on_surface(vertices[:1])  # builds its tree
    return lambda points: np.asarray(query.on_surface(points)[1])


def tree_of_samples(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Distance:
    tree = cKDTree(sample_surface(vertices, faces, POINTS, np.random.default_rng(1)).points)
    return lambda points: tree.query(points)[0]


def compare(scan: Path, prediction: Path, proximity_points: int) -> None:
    """Print the seconds for `POINTS` points and the mean distance of each way; trimesh is asked fewer points and scaled up."""
    truth, mesh = read_scan(find_scans(scan)[0]), read_mesh(prediction)
    points = sample_surface(*mesh, POINTS, np.random.default_rng(0)).points
    print(f"| {POINTS} points to {len(truth.faces)} faces | build (s) | query (s) | mean of the first {proximity_points} (cm) |")
    print("| --- | --- | --- | --- |")
    ways = (
        ("libigl (ours)", tree_of_triangles, POINTS),
        ("trimesh proximity", trimesh_proximity, proximity_points),
        ("nearest sample", tree_of_samples, POINTS),
    )
    for name, way, count in ways:
        start = time.process_time()
        distance = way(truth.vertices.astype(np.float64), truth.faces.astype(np.int64))
        built = time.process_time()
        found = distance(points[:count])
        seconds = (time.process_time() - built) * POINTS / count
        print(f"| {name} | {built - start:.2f} | {seconds:.1f} | {found[:proximity_points].mean() * 100:.4f} |")


def score(scan: Path, prediction: Path) -> None:
    """Print the CPU seconds and the memory of scoring the prediction once, as `eval` does it."""
    source, item = find_scans(scan)[0], ("mesh", 0.0)
    with tempfile.TemporaryDirectory() as folder:
        # Twice, for numba: the first call loads what it has compiled.
        for name in ("first", "second"):
            start = time.process_time()
            scores = score_subject(SubjectTask(source, EvalConfig(), {item: MeshFile(prediction)}, "", Path(folder) / f"{name}.json"))
            seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\none subject, one view, all metrics: {seconds:.1f} CPU s, {memory:.0f} MB; 122 subjects on two cores: {seconds * 122 / 120:.1f} minutes")
    print(f"Chamfer {scores.rows[0]['chamfer_cm']:.3f} cm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("prediction", type=Path)
    parser.add_argument("--proximity-points", type=int, default=5000, help="points that trimesh is asked")
    arguments = parser.parse_args()
    score(arguments.scan, arguments.prediction)
    compare(arguments.scan, arguments.prediction, arguments.proximity_points)


if __name__ == "__main__":
    main()
