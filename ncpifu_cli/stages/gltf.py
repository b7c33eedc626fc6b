"""A mesh as binary glTF 2.0, with vertex colours or an image texture.

Written here because vertex colours must be *linear* light by the standard, 16-bit so that dark clothes do not band, and the material rough, not metal.
"""

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli import __version__
from ncpifu_cli.data.srgb import to_linear

if TYPE_CHECKING:
    import trimesh

    from ncpifu_cli.stages.texture import Texture

_ARRAY, _ELEMENTS = 34962, 34963
_COMPONENTS = {"<f4": 5126, "<u2": 5123, "<u4": 5125}


def glb_bytes(mesh: "trimesh.Trimesh", texture: "Texture | None" = None) -> bytes:
    """The GLB file of a mesh with vertex colours; with `texture` those give way to the image."""
    positions, normals = np.asarray(mesh.vertices, "<f4"), np.asarray(mesh.vertex_normals, "<f4")
    material: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.9}
    file = _Binary()
    if texture is None:
        corners = np.asarray(mesh.faces)
        attributes = {"POSITION": file.array(positions, limits=True), "NORMAL": file.array(normals), "COLOR_0": file.array(_linear(mesh), normalized=True)}
    else:
        corners, uv = texture.faces, texture.uv * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)  # v runs down
        attributes = {
            "POSITION": file.array(positions[texture.source], limits=True),
            "NORMAL": file.array(normals[texture.source]),
            "TEXCOORD_0": file.array(uv.astype("<f4")),
        }
        material["baseColorTexture"] = {"index": 0}
    primitive = {"attributes": attributes, "indices": file.array(corners.astype("<u4").reshape(-1), _ELEMENTS), "material": 0}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"ncpifu {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "person"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": material}],
    }
    if texture is not None:
        from ncpifu_cli.stages.pictures import png_bytes

        document |= {"images": [{"bufferView": file.view(png_bytes(texture.image)), "mimeType": "image/png"}], "samplers": [{}]}
        document["textures"] = [{"source": 0, "sampler": 0}]
    return file.glb(document)


def _linear(mesh: "trimesh.Trimesh") -> NDArray[np.uint16]:
    """(V, 4) 16-bit linear RGBA of the mesh's sRGB vertex colours."""
    srgb = np.asarray(mesh.visual.vertex_colors, np.float64)[:, :3] / 255  # type: ignore[union-attr]
    colours = np.full((len(srgb), 4), 65535, "<u2")
    colours[:, :3] = np.round(to_linear(srgb) * 65535)
    return colours


class _Binary:
    """The one buffer of a GLB, with its views and accessors."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._views: list[dict[str, int]] = []
        self._accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        """Append bytes; the index of their view."""
        self._views.append({"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data), **({} if target is None else {"target": target})})
        self._data += data + b"\0" * (-len(data) % 4)
        return len(self._views) - 1

    def array(self, values: NDArray[Any], target: int = _ARRAY, limits: bool = False, normalized: bool = False) -> int:
        """Append (N,) or (N, C) values; the index of their accessor."""
        kind = "SCALAR" if values.ndim == 1 else f"VEC{values.shape[1]}"
        accessor: dict[str, Any] = {
            "bufferView": self.view(values.tobytes(), target),
            "componentType": _COMPONENTS[values.dtype.str],
            "type": kind,
            "count": len(values),
        }
        if limits:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        if normalized:
            accessor["normalized"] = True
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def glb(self, document: dict[str, Any]) -> bytes:
        """The whole file."""
        full = {**document, "buffers": [{"byteLength": len(self._data)}], "bufferViews": self._views, "accessors": self._accessors}
        text = json.dumps(full, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self._data)
        head = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON") + text
        return head + struct.pack("<I4s", len(self._data), b"BIN\0") + bytes(self._data)
