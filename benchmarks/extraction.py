"""Surface extraction side by side: ours, brute force, and the octree of PIFu (re-implemented from its description), each in its own process.

Run `python benchmarks/extraction.py`; it prints the table of docs/extraction.md. The network is a table of a person made of capsules, read by trilinear
interpolation (or of a scan, with --scan FILE, a closed mesh with y up); its own time is measured and left out, its points are counted.
CPU seconds are counted, as all methods use one thread and other work on the machine then matters little.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from ncpifu_cli.geometry.extract import extract_surface, largest_components

TABLE_SIZE = 256
METHODS = ("ours", "ours, silhouette", "brute force", "PIFu octree")
MM_PER_NDC = 1024.0

Distance = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class TableNetwork:
    """A 'network' whose occupancy is a stored table; counts its points and its own seconds."""

    def __init__(self, table: NDArray[np.float32]) -> None:
        self.table, self.seconds, self.points = table, 0.0, 0

    def __call__(self, points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        start = time.process_time()
        index = ((points_ndc.astype(np.float64) + 1) * (TABLE_SIZE / 2) - 0.5).T
        occupancy = map_coordinates(self.table, index, order=1, mode="nearest", output=np.float32, prefilter=False)
        self.seconds += time.process_time() - start
        self.points += len(points_ndc)
        return occupancy


def table_centres() -> NDArray[np.float64]:
    return (np.arange(TABLE_SIZE) + 0.5) * 2 / TABLE_SIZE - 1


def fill_table(low: NDArray[np.floating], high: NDArray[np.floating], distance: Distance) -> NDArray[np.float32]:
    """The soft occupancy (0.5 on the surface, 0 and 1 from 2.5 cm away) of `distance` (N, 3) -> (N,) NDC within a box, 0 elsewhere."""
    centres = table_centres()
    axes = [np.flatnonzero((centres > low[a] - 0.04) & (centres < high[a] + 0.04)) for a in range(3)]
    points = np.stack(np.meshgrid(*(centres[a] for a in axes), indexing="ij"), axis=-1)
    table = np.zeros((TABLE_SIZE,) * 3, np.float32)
    table[np.ix_(*axes)] = np.clip(0.5 - 20 * distance(points.reshape(-1, 3)), 0, 1).reshape(points.shape[:3])
    return table


def capsule_person() -> NDArray[np.float32]:
    """A person of capsules with arms, legs and ten fingers of 1.6 cm, in NDC."""
    parts = [((0, 0.05, 0), (0, 0.42, 0), 0.15), ((0, 0.5, 0), (0, 0.6, 0), 0.05), ((0, 0.72, 0), (0, 0.77, 0), 0.1)]
    for side in (-1, 1):
        elbow, wrist = (side * 0.36, 0.22, 0.0), (side * 0.5, -0.02, 0.1)
        parts += [((side * 0.17, 0.46, 0), elbow, 0.05), (elbow, wrist, 0.04), (wrist, (side * 0.54, -0.08, 0.13), 0.035)]
        parts += [((side * 0.54, -0.08, 0.13), (side * 0.58, -0.17, 0.09 + 0.025 * k), 0.008) for k in range(5)]
        parts += [((side * 0.09, -0.02, 0), (side * 0.13, -0.8, 0), 0.075), ((side * 0.13, -0.83, 0), (side * 0.15, -0.84, 0.13), 0.04)]

    def distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
        nearest = np.full(len(points), np.inf)
        for start, end, radius in parts:
            a, axis = np.array(start, float), np.subtract(end, start).astype(float)
            along = np.clip((points - a) @ axis / (axis @ axis), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(points - a - along[:, None] * axis, axis=1) - radius)
        return nearest

    ends = np.array([p for start, end, radius in parts for c in (start, end) for p in (np.add(c, radius), np.subtract(c, radius))])
    return fill_table(ends.min(axis=0), ends.max(axis=0), distance)


def scan_person(path: Path) -> NDArray[np.float32]:
    """A scan, made 1.80 m tall."""
    import igl
    import trimesh

    if path.suffix == ".drc":
        import DracoPy

        decoded = DracoPy.decode(path.read_bytes())
        vertices, faces = np.asarray(decoded.points, np.float64), np.asarray(decoded.faces, np.int64)
    else:
        mesh = trimesh.load(path, force="mesh", process=False)
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    middle = np.median(vertices, axis=0)
    middle[1] = (vertices[:, 1].min() + vertices[:, 1].max()) / 2
    vertices = (vertices - middle) * (1.8 / np.ptp(vertices[:, 1]) / 1.024)

    def distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
        unsigned = np.sqrt(igl.point_mesh_squared_distance(points, vertices, faces)[0])
        return np.where(igl.fast_winding_number(vertices, faces, points) > 0.5, -unsigned, unsigned)

    return fill_table(vertices.min(axis=0), vertices.max(axis=0), distance)


def ours(network: TableNetwork, resolution: int, silhouette: bool) -> tuple[NDArray, NDArray]:
    valid = (network.table > 0.5).any(axis=2).T[::-1] if silhouette else None
    surface = extract_surface(network, resolution, valid=valid)
    return surface.vertices, surface.faces


def brute_force(network: TableNetwork, resolution: int) -> tuple[NDArray, NDArray]:
    """Every sample, plane by plane, so that only the volume is dense."""
    centres = ((np.arange(resolution) + 0.5) * 2 / resolution - 1).astype(np.float32)
    volume = np.zeros((resolution + 2,) * 3, np.float32)
    plane = np.zeros((resolution, resolution, 3), np.float32)
    plane[:, :, 1], plane[:, :, 2] = centres[:, None], centres[None]
    for index, x in enumerate(centres):
        plane[:, :, 0] = x
        volume[index + 1, 1:-1, 1:-1] = network(plane.reshape(-1, 3)).reshape(resolution, resolution)
    vertices, faces, _, _ = marching_cubes(volume, 0.5, gradient_direction="ascent")
    return ((vertices - 0.5) * 2 / resolution - 1).astype(np.float32), faces


def pifu_octree(network: TableNetwork, resolution: int, start: int = 64, threshold: float = 0.01, batch: int = 10_000) -> tuple[NDArray, NDArray]:
    """The octree as PIFu describes it: dense coordinates; level by level all unsettled points of the level are asked; a cell whose eight corners lie within
    `threshold` is filled with their middle (without its far faces) and settled; marching cubes on the full volume."""
    coordinates = np.mgrid[:resolution, :resolution, :resolution].reshape(3, -1)
    coordinates = (coordinates + 0.5) * (2 / resolution) - 1
    coordinates = coordinates.reshape(3, resolution, resolution, resolution)
    values = np.zeros((resolution,) * 3)
    unsettled = np.ones((resolution,) * 3, bool)
    level = np.zeros((resolution,) * 3, bool)
    step = max(1, resolution // start)
    while step > 0:
        level[::step, ::step, ::step] = True
        asked = level & unsettled
        points = coordinates[:, asked].T
        values[asked] = np.concatenate([network(points[i : i + batch].astype(np.float32)) for i in range(0, len(points), batch)])
        unsettled[asked] = False
        if step <= 1:
            break
        half = step // 2
        ends = range(0, resolution - step, step)
        for x in ends:
            for y in ends:
                for z in ends:
                    if not unsettled[x + half, y + half, z + half]:
                        continue
                    corners = values[x : x + step + 1 : step, y : y + step + 1 : step, z : z + step + 1 : step]
                    low, high = corners.min(), corners.max()
                    if high - low < threshold:
                        values[x : x + step, y : y + step, z : z + step] = (low + high) / 2
                        unsettled[x : x + step, y : y + step, z : z + step] = False
        step //= 2
    vertices, faces, _, _ = marching_cubes(values, 0.5, gradient_direction="ascent")
    return ((vertices + 0.5) * 2 / resolution - 1).astype(np.float32), faces


def peak_mb() -> float:
    """The most memory this process held so far. (On Linux, ru_maxrss of a child starts at what its parent held, so the kernel's own mark is read first.)"""
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(method: str, resolution: int, table: Path, result: Path) -> None:
    """One measurement, in this process: writes the mesh to `result` and prints a line of JSON."""
    network = TableNetwork(np.load(table, allow_pickle=False))
    run = {
        "ours": lambda: ours(network, resolution, silhouette=False),
        "ours, silhouette": lambda: ours(network, resolution, silhouette=True),
        "brute force": lambda: brute_force(network, resolution),
        "PIFu octree": lambda: pifu_octree(network, resolution),
    }[method]
    start = time.process_time()
    vertices, faces = run()
    seconds = time.process_time() - start
    peak = peak_mb()
    np.savez(result, vertices=vertices, faces=faces)
    print(json.dumps({"seconds": seconds - network.seconds, "points": network.points, "peak_mb": peak}))


def deviation_mm(vertices: NDArray, reference: NDArray) -> float:
    """Largest distance from a vertex of either mesh to the nearest of the other, millimetres of the 1.80 m person."""
    there, back = cKDTree(reference).query(vertices)[0], cKDTree(vertices).query(reference)[0]
    return float(max(there.max(), back.max()) * MM_PER_NDC)


def describe_deviation(mesh: tuple[NDArray, NDArray], reference: tuple[NDArray, NDArray]) -> str:
    """How `mesh` differs from brute force: not at all, only by separate specks, or by so many millimetres."""

    def same(a: tuple[NDArray, NDArray], b: tuple[NDArray, NDArray]) -> bool:
        return np.array_equal(a[1], b[1]) and np.allclose(a[0], b[0], atol=1e-6)

    if same(mesh, reference):
        return "0, the same mesh"
    if same(largest_components(*mesh), largest_components(*reference)):
        return f"0 in the person, {len(mesh[0]) - len(reference[0]):+d} vertices in specks"
    return f"{deviation_mm(mesh[0], reference[0]):.2f} mm"


def compare(table: Path, folder: Path, resolutions: list[int]) -> None:
    """Measure all methods and print the table row by row."""
    print("| resolution | method | CPU seconds | points asked | peak memory MB | vertices | largest deviation from brute force |")
    print("|---|---|---|---|---|---|---|")
    for resolution in resolutions:
        methods = METHODS if resolution <= 512 else METHODS[:2]
        meshes: dict[str, tuple[NDArray, NDArray]] = {}
        rows: dict[str, dict[str, float]] = {}
        for method in methods:
            result = folder / "mesh.npz"
            command = [sys.executable, __file__, "--measure", method, str(resolution), str(table), str(result)]
            rows[method] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            with np.load(result, allow_pickle=False) as mesh:
                meshes[method] = mesh["vertices"], mesh["faces"]
        for method in methods:
            row, (vertices, faces) = rows[method], meshes[method]
            deviation = describe_deviation((vertices, faces), meshes["brute force"]) if "brute force" in meshes else "not compared"
            print(
                f"| {resolution} | {method} | {row['seconds']:.2f} | {row['points']:,} | {row['peak_mb']:,.0f} | {len(vertices):,} | {deviation} |", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=Path, help="a closed mesh (drc, ply, obj, glb, stl; y up) in place of the person of capsules")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--measure", nargs=4, metavar=("METHOD", "RESOLUTION", "TABLE", "RESULT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        method, resolution, table, result = arguments.measure
        measure(method, int(resolution), Path(table), Path(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.npy"
        np.save(table, scan_person(arguments.scan) if arguments.scan else capsule_person())
        compare(table, Path(folder), arguments.resolutions)


if __name__ == "__main__":
    main()
