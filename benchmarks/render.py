"""The render stage, part by part: both renderers, pyrender as its tutorials use it, the light bake, the labels, and a whole subject.

Run `python benchmarks/render.py` (add --scan FILE for a scan of yours); it prints the tables of docs/rendering.md. Each measurement has a process of its
own. CPU seconds are counted, not wall time: every method uses one thread, and other work on the machine then matters less. pyrender needs working OpenGL.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh

from ncpifu_cli.data import light, prt
from ncpifu_cli.data.renderers import make_renderer
from ncpifu_cli.data.samples import write_samples
from ncpifu_cli.data.scans import ScanSource, find_scans, read_scan
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera
from ncpifu_cli.geometry.mesh import Scan

SIZES = (100_000, 300_000, 500_000)
METHODS = ("raster", "pyrender", "naive pyrender")
YAWS = (0, 37, 74, 111, 148, 185, 222, 259, 296)


def figure(faces: int) -> trimesh.Trimesh:
    """A closed, wrinkled body of about `faces` faces in a person's proportions: 1.8 m tall, as many pixels as a standing person."""
    side = int((faces / 2) ** 0.5)
    around, along = np.meshgrid(np.linspace(0, 2 * np.pi, side, endpoint=False), np.linspace(0, np.pi, side), indexing="ij")
    wrinkles = 0.012 * np.sin(9 * around) * np.sin(40 * along) + 0.02 * np.sin(3 * around + 6 * along)
    radius = (0.20 + wrinkles) * np.sin(along) ** 0.4
    vertices = np.stack([radius * np.sin(around), 0.9 * np.cos(along), 0.7 * radius * np.cos(around)], axis=-1).reshape(-1, 3)
    index = np.arange(side * side).reshape(side, side)
    a, b = index[:, :-1].ravel(), np.roll(index, -1, axis=0)[:, :-1].ravel()
    c, d = index[:, 1:].ravel(), np.roll(index, -1, axis=0)[:, 1:].ravel()
    colours = np.clip(150 + 400 * wrinkles.reshape(-1, 1) + [0, 20, 40], 0, 255).astype(np.uint8)
    return trimesh.Trimesh(vertices, np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]), vertex_colors=colours, process=False)


def load(faces: int, scan: str | None) -> Scan:
    if scan is not None:
        return read_scan(find_scans(Path(scan))[0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.ply"
        figure(faces).export(path)
        return read_scan(ScanSource("figure", path, "folder"))


def median_ms(work: Callable[[int], object]) -> float:
    work(YAWS[0])
    spent = []
    for yaw in YAWS:
        start = time.process_time()
        work(yaw)
        spent.append(time.process_time() - start)
    return 1e3 * float(np.median(spent))


def measure_view(method: str, scan: Scan, size_px: int) -> float:
    if method == "naive pyrender":
        return median_ms(lambda yaw: naive_view(scan, yaw, size_px))
    renderer = make_renderer(method, size_px)
    renderer.load(scan)
    transfer, environment = prt.unshadowed(scan.normals), light.environment(np.random.default_rng(0))

    def view(yaw: int) -> None:
        camera = Camera(float(yaw))
        renderer.view(camera, light.shading(transfer, environment, camera.rotation))

    return median_ms(view)


def naive_view(scan: Scan, yaw: int, size_px: int) -> None:
    """What the pyrender tutorials show: everything anew for each view, physically based shading, one lamp, built-in multisampling."""
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    import pyrender

    mesh = pyrender.Mesh.from_trimesh(trimesh.Trimesh(scan.vertices, scan.faces, vertex_colors=scan.colors, process=False))
    scene = pyrender.Scene(bg_color=[0, 0, 0, 0])
    pose, turn = np.eye(4), np.eye(4)
    pose[2, 3] = 2
    turn[:3, :3] = Camera(float(yaw)).rotation
    scene.add(mesh, pose=turn)
    scene.add(pyrender.OrthographicCamera(HALF_EXTENT_M, HALF_EXTENT_M, znear=0.05, zfar=4.05), pose=pose)
    scene.add(pyrender.DirectionalLight(intensity=3), pose=pose)
    renderer = pyrender.OffscreenRenderer(size_px, size_px)
    renderer.render(scene)
    renderer.delete()


def measure_preparation(scan: Scan) -> tuple[float, float]:
    """CPU seconds of the light bake (128 directions) and of 250 000 near points with their labels."""
    prt.bake(scan.vertices, scan.faces, scan.normals, 16)
    start = time.process_time()
    prt.bake(scan.vertices, scan.faces, scan.normals, 128)
    baked = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_samples(Path(folder) / "samples.npz", scan, 250_000, np.random.default_rng(0))
    return baked - start, time.process_time() - baked


def in_own_process(arguments: argparse.Namespace, *extra: str) -> str:
    command = [sys.executable, __file__, "--size", str(arguments.size), *extra]
    command += ["--scan", arguments.scan] if arguments.scan else []
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LIBIGL_NUM_THREADS": "1", "LP_NUM_THREADS": "0"}
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **one_thread})
    return outcome.stdout.strip().splitlines()[-1] if outcome.returncode == 0 else "failed"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", help="measure this mesh instead of the built-in figure")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--faces", type=int, default=SIZES[0], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        scan = load(arguments.faces, arguments.scan)
        if arguments.one == "preparation":
            say(" | ".join(f"{seconds:.2f}" for seconds in measure_preparation(scan)))
        else:
            say(f"{measure_view(arguments.one, scan, arguments.size):.1f}")
        return
    sizes = SIZES if arguments.scan is None else (len(load(0, arguments.scan).faces),)
    say(f"| CPU ms per {arguments.size} px view | " + " | ".join(f"{faces // 1000}k faces" for faces in sizes) + " |")
    say("|---|" + "---|" * len(sizes))
    for method in METHODS:
        say(f"| {method} | " + " | ".join(in_own_process(arguments, "--one", method, "--faces", str(faces)) for faces in sizes) + " |")
    say("\n| faces | light bake, 128 directions, CPU s | 250 000 near points with labels, CPU s |\n|---|---|---|")
    for faces in sizes:
        say(f"| {faces // 1000}k | {in_own_process(arguments, '--one', 'preparation', '--faces', str(faces))} |")


if __name__ == "__main__":
    main()
