"""A reconstruction on disk: mesh by extension, JSON sidecar, preview picture, mask. All of them or none."""

import json
import platform
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli import __version__
from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.reconstruct import MESH_FORMATS
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.stages.outputs import Outputs

if TYPE_CHECKING:
    import trimesh

    from ncpifu_cli.data.mask import Mask
    from ncpifu_cli.stages.reconstruct import Reconstruction


def save(result: "Reconstruction", outputs: Outputs) -> None:
    """Write every file under a temporary name, then give all of them their names. Raises NcpifuError; leaves nothing behind when it does."""
    with ExitStack() as stack:
        names = {path: stack.enter_context(atomic_path(path)) for path in outputs.wanted()}
        try:
            write_mesh(result.mesh, names[outputs.mesh])
            names[outputs.sidecar].write_text(json.dumps(sidecar(result, outputs), indent=1) + "\n", encoding="utf-8")
            if outputs.preview is not None:
                from ncpifu_cli.stages.preview import preview_picture

                write_png(preview_picture(result), names[outputs.preview])
            if outputs.mask is not None:
                write_mask(result.prepared.mask, result.prepared.photo.size_px, names[outputs.mask])
        except OSError as error:
            raise NcpifuError(f"cannot write beside {outputs.mesh}: {error.strerror or error}", "is the disk full?") from error


def write_mesh(mesh: "trimesh.Trimesh", path: Path) -> None:
    """Write by extension: OBJ, PLY and GLB with vertex colours, OFF and STL (binary) without."""
    suffix = path.suffix.lower()
    if suffix == ".glb":
        path.write_bytes(glb_bytes(mesh))
    elif suffix in MESH_FORMATS:
        mesh.export(str(path), file_type=suffix[1:])
    else:
        raise NcpifuError(f"unknown mesh format {suffix!r}", f"use one of: {', '.join(MESH_FORMATS)}")


def glb_bytes(mesh: "trimesh.Trimesh") -> bytes:
    """A mesh with vertex colours as binary glTF 2.0.

    Written here because the colours must be *linear* light by the standard, 16-bit so that dark clothes do not band, and the material rough, not metal.
    """
    positions = np.asarray(mesh.vertices, "<f4")
    normals = np.asarray(mesh.vertex_normals, "<f4")
    indices = np.asarray(mesh.faces, "<u4").reshape(-1)
    srgb = np.asarray(mesh.visual.vertex_colors, np.float64)[:, :3] / 255  # type: ignore[union-attr]
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    colours = np.full((len(positions), 4), 65535, "<u2")
    colours[:, :3] = np.round(linear * 65535)
    blocks: list[NDArray[Any]] = [positions, normals, colours, indices]
    views, offset = [], 0
    for block, target in zip(blocks, (34962, 34962, 34962, 34963), strict=True):
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": block.nbytes, "target": target})
        offset += block.nbytes  # every block is a multiple of four bytes
    vertex = {"count": len(positions)}
    accessors = [
        {"bufferView": 0, "componentType": 5126, "type": "VEC3", "min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist(), **vertex},
        {"bufferView": 1, "componentType": 5126, "type": "VEC3", **vertex},
        {"bufferView": 2, "componentType": 5123, "normalized": True, "type": "VEC4", **vertex},
        {"bufferView": 3, "componentType": 5125, "type": "SCALAR", "count": len(indices)},
    ]
    document = {
        "asset": {"version": "2.0", "generator": f"ncpifu {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "person"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2}, "indices": 3, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}}],
        "buffers": [{"byteLength": offset}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(block.tobytes() for block in blocks)
    total = 12 + 8 + len(text) + 8 + len(data)
    return struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data


def write_png(picture: NDArray[np.uint8], path: Path) -> None:
    """(H, W, 3) sRGB or (H, W) uint8 -> PNG."""
    import cv2

    ordered = picture if picture.ndim == 2 else picture[..., ::-1]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(ordered), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise NcpifuError(f"cannot encode {path.name}")
    path.write_bytes(encoded.tobytes())


def write_mask(mask: "Mask", size_px: tuple[int, int], path: Path) -> None:
    """The mask at the size of the upright photo, white = person: what `--mask` takes."""
    import cv2

    height, width = mask.coverage.shape
    full = mask.coverage if (width, height) == size_px else cv2.resize(mask.coverage, size_px, interpolation=cv2.INTER_LINEAR)
    write_png(full, path)


def sidecar(result: "Reconstruction", outputs: Outputs) -> dict[str, Any]:
    """What the JSON file beside the mesh says; enough to project the mesh onto the photo and to repeat the work."""
    photo, mask, camera, model = result.prepared.photo, result.prepared.mask, result.view.camera, result.model
    px_per_m = camera.half_extent_px / (result.scale * HALF_EXTENT_M)
    u0, v0 = camera.centre_px
    return {
        "format": "ncpifu-reconstruction",
        "version": 1,
        "mesh": {
            "file": outputs.mesh.name,
            "units": "metre, y up, the person faces +z, feet at y = 0",
            "vertices": len(result.mesh.vertices),
            "faces": len(result.mesh.faces),
            "watertight": bool(result.mesh.is_watertight),
            "size_m": [round(float(x), 4) for x in result.mesh.extents],
        },
        "photo": {"file": photo.name, "size_px": list(photo.size_px), "notes": list(photo.notes)},
        "mask": {"source": mask.source, "trusted": mask.trusted, "warnings": list(mask.warnings)},
        "camera": {
            "kind": "orthographic",
            "looks_along": [0, 0, -1],
            "frame_px": result.view.image.shape[0],
            "frame_centre_px": [u0, v0],
            "frame_half_extent_px": camera.half_extent_px,
        },
        "similarity": {
            "explanation": "photo pixel (u right, v down, upright photo, pixel centres at half-integers) = photo_from_mesh @ (x, y, z, 1); "
            "mesh = scale * normalised + (0, lift_m, 0), where the normalised subject is 1.80 m tall and centred",
            "photo_from_mesh": [[px_per_m, 0.0, 0.0, u0], [0.0, -px_per_m, 0.0, v0 + px_per_m * result.lift_m]],
            "px_per_m": px_per_m,
            "scale": result.scale,
            "lift_m": result.lift_m,
        },
        "weights": {"file": model.path.name, "sha256": model.sha256, "profile": model.config.profile, "kind": model.config.kind},
        "settings": dump(result.config),
        "timings_s": result.timings_s,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions that can change a result."""
    import torch
    import trimesh

    return {
        "ncpifu": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "trimesh": str(trimesh.__version__),
    }
