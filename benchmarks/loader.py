"""Training items per second: our loader against the published procedure, on the same subjects in one run.

    python benchmarks/loader.py data/renders data/scans [--config paper] [--subjects 3] [--items 40]

PIFu and SuRS make the labels of every item anew: sample the mesh's surface, move the points by N(0, sigma), add uniform ones, ask `mesh.contains` of each and
keep half inside, half outside (PIFu's lib/data/TrainDataset.py, select_sampling_method). Ours reads labels that `render` cached. The image's part (read,
augment, resize) is the same for both and is counted for both. Times are CPU seconds of this process, so that other work on the machine does not count.
Needs rtree for the published procedure; with embreex installed trimesh casts its rays with Embree, which is what PIFu's authors recommend.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, find_subjects
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.geometry.camera import HALF_EXTENT_M

SIGMA_M = 0.05


def published_labels(mesh: trimesh.Trimesh, count: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """PIFu's sampling of one item: 4 n points near the surface and n / 4 uniform ones are tested, n / 2 inside and n / 2 outside are kept."""
    surface, _ = trimesh.sample.sample_surface(mesh, 4 * count, seed=int(rng.integers(2**31)))
    near = surface + rng.normal(scale=SIGMA_M, size=surface.shape)
    points = np.concatenate([near, rng.uniform(-HALF_EXTENT_M, HALF_EXTENT_M, (count // 4, 3))])
    rng.shuffle(points)
    inside = mesh.contains(points)
    half = count // 2
    kept = np.concatenate([points[inside][:half], points[~inside][:half]])
    return kept.astype(np.float32), np.arange(len(kept)) < half


def cpu_seconds(work: Callable[[int], object], items: int) -> float:
    """CPU seconds per item."""
    begun = time.process_time()
    for index in range(items):
        work(index)
    return (time.process_time() - begun) / items


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("renders", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--config", default="paper")
    parser.add_argument("--subjects", type=int, default=3)
    parser.add_argument("--items", type=int, default=40)
    options = parser.parse_args()
    config = load(TrainConfig, options.config)
    scans = {source.name: source for source in find_scans(options.scans)}
    subjects = [subject for subject in find_subjects(options.renders) if subject.name in scans][: options.subjects]
    depth = {"depth_stride": config.model.depth_stride, "depth_layers": config.model.depth_layers}
    dataset = RenderDataset(subjects, config.data, config.model.image_size_px, seed=0, length=10**9, **depth)
    first = cpu_seconds(lambda index: subjects[index].points, len(subjects))
    item = cpu_seconds(dataset.__getitem__, options.items)
    rng = np.random.default_rng(0)
    ours = cpu_seconds(lambda index: subjects[index % len(subjects)].points.draw(config.data.points, rng), options.items)
    meshes = []
    for subject in subjects:
        scan = read_scan(scans[subject.name])
        meshes.append(trimesh.Trimesh(scan.vertices, scan.faces, process=False))
        meshes[-1].contains(np.zeros((1, 3)))  # builds the ray tree, once per subject as PIFu does
    published = cpu_seconds(lambda index: published_labels(meshes[index % len(meshes)], config.data.points, rng), max(len(meshes), options.items // 10))
    rays = "Embree" if importlib.util.find_spec("embreex") else "rtree"
    size = (config.model.image_size_px, config.data.points, np.mean([len(mesh.faces) for mesh in meshes]))
    print(f"{len(subjects)} subjects, {size[0]} px, {size[1]} points, {size[2]:.0f} faces; reading a subject's labels the first time: {1000 * first:.0f} ms\n")
    print("| one core | labels, ms per item | whole item, ms | items/s |\n|---|---|---|---|")
    rows = {"cached labels (ours)": (ours, item), f"sampling and mesh.contains per item ({rays})": (published, item - ours + published)}
    for name, (labels, whole) in rows.items():
        print(f"| {name} | {1000 * labels:.2f} | {1000 * whole:.1f} | {1 / whole:.2f} |")
    print(f"\nlabels {published / ours:.0f}x, whole items {(item - ours + published) / item:.0f}x as fast")


if __name__ == "__main__":
    main()
