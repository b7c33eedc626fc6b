"""One scan -> its complete folder: pictures, masks, depth, labelled points, manifest."""

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_folder, sha256, stable_hash, write_json
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.data import light as lighting
from ncpifu_cli.data import prt
from ncpifu_cli.data.depth import depth_maps, encode_depth
from ncpifu_cli.data.mesh_files import files_beside
from ncpifu_cli.data.renderers import Renderer, SurfaceView
from ncpifu_cli.data.samples import write_samples
from ncpifu_cli.data.scans import ScanSource
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.geometry.keypoints import named
from ncpifu_cli.geometry.mesh import Scan

FORMAT, VERSION = "ncpifu-subject", 3


def render_subject(scan: Scan, provenance: dict[str, Any], out: Path, settings: RenderSettings, renderer: Renderer) -> dict[str, Any]:
    """Draw and label one subject into `out/<name>/`, which appears when it is complete; returns its manifest (`subject.json`).

    Args:
        provenance: from the function of this name, kept in the manifest.
    """
    seed = [settings.seed, zlib.crc32(scan.name.encode())]
    transfer = _transfer(scan, settings)
    renderer.load(scan)
    with atomic_folder(out / scan.name) as folder:
        views = _draw_views(scan, transfer, renderer, folder, settings, np.random.default_rng([*seed, 0]))
        balance = write_samples(folder / "samples.npz", scan, settings.near_points, np.random.default_rng([*seed, 1]))
        similarity = {"scale": scan.similarity.scale, "rotation": scan.similarity.rotation, "centre": scan.similarity.centre}
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "name": scan.name,
            **provenance,
            "size_px": settings.size_px,
            "renderer": renderer.name,
            "similarity": similarity,
            "units": scan.units,
            "samples": balance,
            **({} if scan.keypoints is None else {"keypoints_m": named(scan.keypoints)}),
            "views": views,
            "notes": list(scan.notes),
        }
        write_json(folder / "subject.json", manifest)
    return manifest


def provenance(source: ScanSource, settings: RenderSettings) -> dict[str, Any]:
    """{"hash", "settings"} of what a subject is drawn from: whether it is up to date, and if not, what differs."""
    return {"hash": subject_hash(source, settings), "settings": recorded_settings(source, settings)}


def recorded_settings(source: ScanSource, settings: RenderSettings) -> dict[str, Any]:
    """All that decides how this subject is drawn, but the scan itself."""
    return {"dataset": source.dataset, **settings.decisive()}


def subject_hash(source: ScanSource, settings: RenderSettings) -> str:
    """Changes whenever the files of this subject would: with the scan's content and with every setting that decides what is drawn."""
    texture = sha256(source.texture) if source.texture else ""
    scan = {"mesh": sha256(source.path), "texture": texture, "dataset": source.dataset}
    beside = [sha256(path) for path in files_beside(source.path)]
    return stable_hash({"version": VERSION, "settings": settings.decisive(), **scan, **({"beside": beside} if beside else {})})


def _transfer(scan: Scan, settings: RenderSettings) -> NDArray[np.float32] | None:
    if scan.shaded or settings.light == "flat":
        return None
    if settings.light == "sh":
        return prt.unshadowed(scan.normals)
    return prt.bake(scan.vertices, scan.faces, scan.normals, settings.prt_directions)


def _draw_views(
    scan: Scan, transfer: NDArray[np.float32] | None, renderer: Renderer, folder: Path, settings: RenderSettings, rng: np.random.Generator
) -> list[dict[str, Any]]:
    views = []
    for pitch in settings.pitch_deg:
        for yaw in range(0, 360, settings.yaw_step_deg):
            camera = Camera(float(yaw), float(pitch))
            stem = f"{yaw:03d}" if len(settings.pitch_deg) == 1 else f"{yaw:03d}_{pitch:+g}"
            files = {"mask": f"mask/{stem}.png", "depth": f"depth/{stem}.png"}
            _write_image(folder / files["depth"], depth_maps(scan, camera))
            files |= _draw_maps(renderer.surface(camera), folder, stem, settings) if settings.maps else {}
            for number in range(settings.lights_per_view):
                light = lighting.environment(rng) if transfer is not None else lighting.white()
                on_vertices = np.ones_like(scan.vertices) if transfer is None else lighting.shading(transfer, light, camera.rotation)
                view = renderer.view(camera, on_vertices)
                rgb = f"rgb/{stem}.jpg" if settings.lights_per_view == 1 else f"rgb/{stem}_{number:02d}.jpg"
                _write_image(folder / rgb, view.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality])
                if number == 0:
                    _write_image(folder / files["mask"], view.mask.astype(np.uint8) * 255)
                views.append({"yaw_deg": camera.yaw_deg, "pitch_deg": camera.pitch_deg, "rgb": rgb, **files, "light": light.round(5).tolist()})
    return views


def _draw_maps(surface: SurfaceView, folder: Path, stem: str, settings: RenderSettings) -> dict[str, str]:
    """The full-size maps that were asked for: 16-bit depth as in `data.depth`, normals as (n + 1) / 2 * 255 in RGB, both 0 outside the mask."""
    files = {}
    if "depth" in settings.maps:
        files["depth_map"] = f"depth_map/{stem}.png"
        _write_image(folder / files["depth_map"], encode_depth(surface.depth_ndc, surface.mask))
    if "normal" in settings.maps:
        files["normal_map"] = f"normal_map/{stem}.png"
        colours = np.rint((surface.normals + 1) * 127.5).astype(np.uint8) * surface.mask[..., None]
        _write_image(folder / files["normal_map"], colours[..., ::-1])
    return files


def _write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16], options: list[int] | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    done, data = cv2.imencode(path.suffix, image, options or [])
    if not done:
        raise NcpifuError(f"cannot encode {path.name}")
    path.write_bytes(data.tobytes())
