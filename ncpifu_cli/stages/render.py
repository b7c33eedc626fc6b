"""`render`: scans -> pictures, masks and labelled points, one folder per subject."""

import errno
import os
import shutil
import signal
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_folder, read_json, sha256, stable_hash, write_json
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.data import light as lighting
from ncpifu_cli.data import prt
from ncpifu_cli.data.depth import depth_maps
from ncpifu_cli.data.renderers import Renderer, choose_renderer, make_renderer
from ncpifu_cli.data.samples import write_samples
from ncpifu_cli.data.scans import ScanSource, find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.progress import SILENT, Reporter

FORMAT, VERSION = "ncpifu-subject", 2
STALE_S = 3600  # a temporary folder this old was left by a killed run


@dataclass
class RenderReport:
    """What a run did.

    Attributes: out: the folder. renderer: which one drew ("" where nothing was left to do). done, skipped: subjects' names. failed: name -> reason.
        notes: name -> what reading the scan detected and repaired. views: pictures drawn. seconds: wall time.
    """

    out: Path
    renderer: str = ""
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    views: int = 0
    seconds: float = 0.0


def render(scans: Path, out: Path, settings: RenderSettings | None = None, reporter: Reporter = SILENT) -> RenderReport:
    """Render every scan under `scans` into `out/<subject>/`.

    Subjects that are complete with the same settings and the same scan are skipped, a scan that cannot be used is reported and the rest goes on.

    Args:
        scans: a data set as downloaded, a folder of meshes, or one mesh. out: where the subjects' folders go.

    Raises NcpifuError where there is nothing to render, no renderer works, or `out` cannot be written.
    """
    settings = settings or RenderSettings()
    started = time.monotonic()
    sources = find_scans(Path(scans), settings.dataset)
    _check_writable(Path(out))
    report = RenderReport(Path(out))
    todo = [source for source in sources if not _complete(source, report, settings)]
    if report.skipped:
        reporter.info(f"{len(report.skipped)} of {len(sources)} subjects are complete already")
    if todo:
        report.renderer, fallback = choose_renderer(settings.renderer)
        if fallback:
            reporter.warn(fallback)
        jobs = min(settings.jobs or available_cores(), len(todo))
        reporter.info(f"{len(todo)} subjects with the {report.renderer} renderer, {jobs} process{'es' if jobs > 1 else ''}")
        _render_all(todo, settings, jobs, report, reporter)
    report.seconds = time.monotonic() - started
    return report


def _render_all(todo: list[ScanSource], settings: RenderSettings, jobs: int, report: RenderReport, reporter: Reporter) -> None:
    started = time.monotonic()
    with reporter.task("rendering", len(todo)) as task:
        for source, outcome in _run(todo, report.out, settings, report.renderer, jobs):
            if isinstance(outcome, NcpifuError):
                report.failed[source.name] = outcome.message
                reporter.warn(f"{source.name} left out: {outcome.message}")
            else:
                report.done.append(source.name)
                report.notes[source.name] = outcome["notes"]
                report.views += len(outcome["views"])
            task.advance(1, f"{report.views / (time.monotonic() - started):.0f} views/s")


def render_subject(source: ScanSource, out: Path, settings: RenderSettings, renderer: Renderer) -> dict[str, Any]:
    """One subject, from its file to its complete folder `out/<name>/`; returns the manifest (`subject.json`)."""
    scan = read_scan(source, settings.up, settings.units)
    seed = [settings.seed, zlib.crc32(source.name.encode())]
    transfer = _transfer(scan, settings)
    renderer.load(scan)
    _remove_stale(out, source.name)
    with atomic_folder(out / source.name) as folder:
        views = _draw_views(scan, transfer, renderer, folder, settings, np.random.default_rng([*seed, 0]))
        balance = write_samples(folder / "samples.npz", scan, settings.near_points, np.random.default_rng([*seed, 1]))
        similarity = {"scale": scan.similarity.scale, "rotation": scan.similarity.rotation, "centre": scan.similarity.centre}
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "name": source.name,
            "hash": subject_hash(source, settings),
            "size_px": settings.size_px,
            "renderer": renderer.name,
            "similarity": similarity,
            "samples": balance,
            "views": views,
            "notes": list(scan.notes),
        }
        write_json(folder / "subject.json", manifest)
    return manifest


def subject_hash(source: ScanSource, settings: RenderSettings) -> str:
    """Changes whenever the files of this subject would: with the scan's content and with every setting that decides what is drawn."""
    decisive = {key: value for key, value in dump(settings).items() if key not in ("jobs", "renderer", "dataset")}
    texture = sha256(source.texture) if source.texture else ""
    return stable_hash({"version": VERSION, "settings": decisive, "mesh": sha256(source.path), "texture": texture, "dataset": source.dataset})


def _complete(source: ScanSource, report: RenderReport, settings: RenderSettings) -> bool:
    manifest = report.out / source.name / "subject.json"
    if not manifest.is_file():
        return False
    try:
        same = read_json(manifest).get("hash") == subject_hash(source, settings)
    except (NcpifuError, OSError, AttributeError):
        return False  # not readable: draw it again
    if same:
        report.skipped.append(source.name)
    return same


def _run(todo: list[ScanSource], out: Path, settings: RenderSettings, renderer: str, jobs: int) -> Iterator[tuple[ScanSource, dict[str, Any] | NcpifuError]]:
    # OpenGL stays out of this process even for one job: whoever forks after the first GL call (a training loader) would hang for ever.
    if jobs == 1 and renderer == "raster":
        for source in todo:
            yield source, _attempt(source, out, settings, renderer)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start_worker) as pool:
        running: dict[Future[dict[str, Any] | NcpifuError], ScanSource] = {pool.submit(_attempt, source, out, settings, renderer): source for source in todo}
        try:
            for future in as_completed(running):
                try:
                    yield running[future], future.result()
                except BrokenProcessPool as error:
                    raise NcpifuError("a render process died", "out of memory? run again with fewer --jobs: complete subjects are kept") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _attempt(source: ScanSource, out: Path, settings: RenderSettings, renderer: str) -> dict[str, Any] | NcpifuError:
    """The subject's manifest, or what is wrong with this one scan. Raises NcpifuError where no other subject would fare better."""
    drawing = _process_renderer(renderer, settings.size_px)
    try:
        return render_subject(source, out, settings, drawing)
    except NcpifuError as error:
        return error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise NcpifuError(f"cannot write {out}: {error.strerror}", "make room and run again: complete subjects are kept") from error
        return NcpifuError(f"{error.filename or source.path}: {error.strerror or error}")


@lru_cache(maxsize=1)
def _process_renderer(name: str, size_px: int) -> Renderer:
    return make_renderer(name, size_px)  # one per process: a second GL context's end would take the first one down


def _start_worker() -> None:
    # The processes share the cores already; the libraries' own threads would only get in each other's way.
    os.environ["IGL_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # Ctrl-C: the parent says it once; half a subject is only a temporary folder
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _transfer(scan: Scan, settings: RenderSettings) -> NDArray[np.float32] | None:
    if scan.shaded or settings.light == "flat":
        return None
    if settings.light == "sh":
        return prt.unshadowed(scan.normals)
    return prt.bake(scan.vertices, scan.faces, scan.normals, settings.prt_directions)


def _draw_views(
    scan: Scan, transfer: NDArray[np.float32] | None, renderer: Renderer, folder: Path, settings: RenderSettings, rng: np.random.Generator
) -> list[dict[str, Any]]:
    (folder / "rgb").mkdir()
    (folder / "mask").mkdir()
    (folder / "depth").mkdir()
    views = []
    for pitch in settings.pitch_deg:
        for yaw in range(0, 360, settings.yaw_step_deg):
            camera = Camera(float(yaw), float(pitch))
            stem = f"{yaw:03d}" if len(settings.pitch_deg) == 1 else f"{yaw:03d}_{pitch:+g}"
            for number in range(settings.lights_per_view):
                light = lighting.environment(rng) if transfer is not None else lighting.white()
                on_vertices = np.ones_like(scan.vertices) if transfer is None else lighting.shading(transfer, light, camera.rotation)
                view = renderer.view(camera, on_vertices)
                rgb = f"rgb/{stem}.jpg" if settings.lights_per_view == 1 else f"rgb/{stem}_{number:02d}.jpg"
                mask, depth = f"mask/{stem}.png", f"depth/{stem}.png"
                _write_image(folder / rgb, view.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality])
                if number == 0:
                    _write_image(folder / mask, view.mask.astype(np.uint8) * 255, [])
                    _write_image(folder / depth, depth_maps(scan, camera), [])
                files = {"rgb": rgb, "mask": mask, "depth": depth}
                views.append({"yaw_deg": camera.yaw_deg, "pitch_deg": camera.pitch_deg, **files, "light": light.round(5).tolist()})
    return views


def _write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16], options: list[int]) -> None:
    done, data = cv2.imencode(path.suffix, image, options)
    if not done:
        raise NcpifuError(f"cannot encode {path.name}")
    path.write_bytes(data.tobytes())


def _remove_stale(out: Path, name: str) -> None:
    for leftover in out.glob(f".tmp-*-{name}"):
        if time.time() - leftover.stat().st_mtime > STALE_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise NcpifuError(f"cannot write {out}: {error.strerror or error}", "choose an output folder that can be written") from error


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
