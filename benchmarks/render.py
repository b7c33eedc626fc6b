"""The render stage, part by part: both renderers, pyrender as its tutorials use it, the light bake, PIFu's own bake, the labels, and a whole subject.

Run `python benchmarks/render.py` (add --scan FILE for a scan of yours); it prints the tables of docs/rendering.md. Each measurement has a process of its
own. CPU seconds are counted, not wall time: every method uses one thread, and other work on the machine then matters less. pyrender needs working OpenGL,
PIFu's bake needs `pip install embreex` (without it, its rays would take days).
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.data import light, prt
from ncpifu_cli.data.renderers import make_renderer
from ncpifu_cli.data.samples import write_samples
from ncpifu_cli.data.scans import ScanSource, find_scans, read_scan
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.sh import basis
from ncpifu_cli.stages.render_subject import render_subject

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
    quads = np.stack([a, c, b, b, c, d], axis=1)  # both halves of a quad after each other, neighbours near each other, as meshers write them
    return trimesh.Trimesh(vertices, quads.reshape(-1, 3), vertex_colors=colours, process=False)


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


def measure_bake(scan: Scan, directions: int) -> float:
    """CPU seconds of our light bake."""
    prt.bake(scan.vertices, scan.faces, scan.normals, 16)
    start = time.process_time()
    prt.bake(scan.vertices, scan.faces, scan.normals, directions)
    return time.process_time() - start


def measure_pifu_bake(scan: Scan, passes: int = 2, side: int = 40) -> float:
    """CPU seconds of PIFu's bake: 40 passes of 40 random directions for every vertex, visibility by trimesh's embree. Two passes are run and scaled up."""
    import embreex  # noqa: F401

    mesh = trimesh.Trimesh(scan.vertices, scan.faces, process=False)
    directions = np.random.default_rng(0).normal(size=(side * side, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    harmonics = basis(directions)
    origins = np.repeat(scan.vertices + 1e-3 * mesh.bounding_box.extents.min() * scan.normals, side, axis=0)
    normals = np.repeat(scan.normals, side, axis=0)
    mesh.ray.intersects_any(origins[:1], directions[:1])  # builds the tree
    start = time.process_time()
    for k in range(passes):
        rays = np.tile(directions[k * side : (k + 1) * side], (len(scan.vertices), 1))
        cosine = (rays * normals).sum(axis=1)
        open_ = (cosine > 0) & ~mesh.ray.intersects_any(origins, rays)
        transfer = np.tile(harmonics[k * side : (k + 1) * side], (len(scan.vertices), 1)) * (open_ * cosine)[:, None]
        transfer.reshape(-1, side, 9).sum(axis=1)
    return (time.process_time() - start) * side / passes


def measure_labels(scan: Scan) -> float:
    """CPU seconds of 500 000 near points with their labels, written."""
    scan = replace(scan)  # without the tree that an earlier measurement may have built
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_samples(Path(folder) / "samples.npz", scan, 500_000, np.random.default_rng(0))
    return time.process_time() - start


def measure_subject(scan: Scan) -> str:
    """CPU seconds and memory of 360 views with bake, labels and all files."""
    settings = RenderSettings(renderer="raster")
    renderer = make_renderer("raster", settings.size_px)
    with tempfile.TemporaryDirectory() as folder:
        render_subject(scan, {}, Path(folder), settings.model_copy(update={"yaw_step_deg": 360}), renderer)  # compiles
        start = time.process_time()
        render_subject(scan, {}, Path(folder), settings, renderer)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{time.process_time() - start:.1f} | {megabytes:.0f}"


PARTS: dict[str, Callable[[Scan], object]] = {
    "light bake, 128 directions": lambda scan: f"{measure_bake(scan, 128):.2f}",
    "light bake, 256 directions": lambda scan: f"{measure_bake(scan, 256):.2f}",
    "PIFu's light bake, 1600 rays a vertex": lambda scan: f"{measure_pifu_bake(scan):.0f}",
    "500 000 near points with labels": lambda scan: f"{measure_labels(scan):.2f}",
}


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
        if arguments.one in PARTS:
            say(str(PARTS[arguments.one](scan)))
        else:
            say(measure_subject(scan) if arguments.one == "subject" else f"{measure_view(arguments.one, scan, arguments.size):.1f}")
        return
    sizes = SIZES if arguments.scan is None else (len(load(0, arguments.scan).faces),)
    header = " | ".join(f"{faces // 1000}k faces" for faces in sizes) + " |\n|---|" + "---|" * len(sizes)
    for title, rows in ((f"CPU ms per {arguments.size} px view", METHODS), ("CPU s per subject", tuple(PARTS))):
        say(f"| {title} | {header}")
        for row in rows:
            say(f"| {row} | " + " | ".join(in_own_process(arguments, "--one", row, "--faces", str(faces)) for faces in sizes) + " |")
        say("")
    say("| whole subject, raster, 360 views | CPU s | peak MB |\n|---|---|---|")
    say(f"| {sizes[0] // 1000}k faces | {in_own_process(arguments, '--one', 'subject', '--faces', str(sizes[0]))} |")


if __name__ == "__main__":
    main()
