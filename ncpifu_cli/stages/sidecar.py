"""The JSON file beside a mesh: enough to project the mesh onto the photo and to repeat the work."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli import __version__
from ncpifu_cli.artifacts import sha256
from ncpifu_cli.config.base import dump
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.stages.outputs import SIDECAR_FORMAT, Outputs

if TYPE_CHECKING:
    from ncpifu_cli.data.person_mask import Mask
    from ncpifu_cli.stages.reconstruct import Reconstruction


def sidecar(result: "Reconstruction", outputs: Outputs) -> dict[str, Any]:
    """What the JSON file says."""
    photo, mask, camera, model = result.prepared.photo, result.prepared.mask, result.view.camera, result.model
    metre = result.scale * HALF_EXTENT_M  # of the mesh, per NDC
    x, y = result.perspective.axis_ndc
    orthographic = result.perspective.is_orthographic
    u0, v0 = camera.centre_px
    return {
        "format": SIDECAR_FORMAT,
        "version": 2,
        "written": sorted({path.name for path in outputs.wanted()} - {photo.name}),
        "mesh": {
            "file": outputs.mesh.name,
            "units": "metre, y up, the person faces +z, " + ("lowest point at y = 0" if result.config.ground else "the middle of the height at y = 0"),
            "vertices": len(result.mesh.vertices),
            "faces": len(result.mesh.faces),
            "watertight": bool(result.mesh.is_watertight),
            "size_m": [round(float(x), 4) for x in result.mesh.extents],
        },
        "photo": {"file": photo.name, "size_px": list(photo.size_px), "notes": list(photo.notes), "shown_share_of_height": round(mask.shown, 3)},
        "confidence": confidence_summary(result),
        "overlap": round(result.overlap, 3),
        "warnings": list(result.warnings),
        "mask": mask_document(mask),
        "camera": {
            "kind": "orthographic" if orthographic else "perspective",
            "looks_along": [0, 0, -1],
            "position_m": None if orthographic else [metre * x, metre * y + result.lift_m, metre * result.perspective.distance_ndc],
            "seen_distance_m": None if result.seen.is_orthographic else metre * result.seen.distance_ndc,
            "frame_px": result.view.image.shape[0],
            "frame_centre_px": [u0, v0],
            "frame_half_extent_px": camera.half_extent_px,
        },
        "similarity": {
            "explanation": "(u w, v w, w) = photo_from_mesh @ (x, y, z, 1), with photo pixel u right, v down, upright photo, pixel centres at half-integers; "
            "px_per_m is at z = 0; mesh = scale * normalised + (0, lift_m, 0), normalised in metres of the framed view, which spans +-1.024 m",
            "photo_from_mesh": photo_from_mesh(result).tolist(),
            "px_per_m": camera.half_extent_px / metre,
            "scale": result.scale,
            "lift_m": result.lift_m,
        },
        "weights": {"file": model.path.name, "sha256": model.sha256, "profile": model.config.profile, "kind": model.config.kind},
        "detail": _file(result.detail),
        "back": _file(result.back),
        "settings": dump(result.config),
        "timings_s": result.timings_s,
        "versions": versions(),
    }


def mask_document(mask: "Mask") -> dict[str, Any]:
    """What the JSON file says of the mask."""
    return {
        "source": mask.source,
        "trusted": mask.trusted,
        "confidence": mask.confidence,
        "warnings": list(mask.warnings),
        "networks": [_file(path) for path in mask.networks],
    }


def photo_from_mesh(result: "Reconstruction") -> NDArray[np.float64]:
    """(3, 4) P: (u w, v w, w) = P (x, y, z, 1) for points of the mesh's frame and their pixels in the photo; at z = 0, w = 1."""
    half, (u0, v0), metre = result.view.camera.half_extent_px, result.view.camera.centre_px, result.scale * HALF_EXTENT_M
    to_ndc = np.array([[1, 0, 0, 0], [0, 1, 0, -result.lift_m], [0, 0, 1, 0], [0, 0, 0, metre]]) / metre
    return np.array([[half, 0, u0], [0, -half, v0], [0, 0, 1]]) @ result.perspective.matrix @ to_ndc


def confidence_summary(result: "Reconstruction") -> dict[str, float] | None:
    """Means over the vertices that face the camera, and over those that face away."""
    if result.confidence is None:
        return None
    front = np.asarray(result.mesh.vertex_normals)[:, 2] > 0
    return {name: round(float(result.confidence[side].mean()), 3) for name, side in (("front", front), ("back", ~front)) if side.any()}


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


def _file(weights: Path | None) -> dict[str, str] | None:
    return None if weights is None else {"file": weights.name, "sha256": sha256(weights)}
