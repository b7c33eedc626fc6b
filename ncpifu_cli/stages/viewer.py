"""One HTML file that shows a mesh in any browser with WebGL: opened from disk, no internet, no library. The page itself is viewer.html."""

import base64
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.stages.confidence import confidence_colours
from ncpifu_cli.stages.pictures import jpeg_bytes
from ncpifu_cli.stages.preview import photo_tile

if TYPE_CHECKING:
    from ncpifu_cli.stages.reconstruct import Reconstruction

PAGE = Path(__file__).with_name("viewer.html")
PHOTO_PX = 360


def viewer_page(result: "Reconstruction") -> str:
    """The page: positions in 16 bits of the bounding box, triangles as differences, colours in 8 bits or the texture; all deflated and in base64."""
    mesh, photo, texture = result.mesh, result.prepared.photo, result.texture
    split = slice(None) if texture is None else texture.source  # at seams a vertex has two places in the texture
    paints = [np.asarray(mesh.visual.vertex_colors)[split, :3]]  # type: ignore[union-attr]
    if result.confidence is not None:
        paints.append(confidence_colours(result.confidence)[split])
    low, high = mesh.bounds
    positions = np.round((mesh.vertices[split] - low) / np.maximum(high - low, 1e-9) * 65535).astype("<u2")
    corners = np.asarray(mesh.faces if texture is None else texture.faces, np.int64).reshape(-1)
    steps = np.diff(corners, prepend=0).astype("<i4")  # neighbouring triangles have neighbouring corners: small numbers deflate well
    data: dict[str, Any] = {
        "title": photo.name,
        "facts": f"{mesh.extents[1]:.2f} m tall, {len(mesh.vertices):,} vertices, {len(mesh.faces):,} triangles",
        "low": low.tolist(),
        "high": high.tolist(),
        "positions": _packed(positions),
        "steps": _packed(steps),
        "paints": [_packed(paint) for paint in paints],
        "normals": _packed(np.round(np.asarray(mesh.vertex_normals)[split] * 32767).astype("<i2")),
        "photo": base64.b64encode(jpeg_bytes(photo_tile(result, PHOTO_PX))).decode(),
    }
    if texture is not None:
        data["uv"] = _packed(np.round(texture.uv * [65535, -65535] + [0, 65535]).astype("<u2"))  # v runs down, as the picture's rows
        data["texture"] = base64.b64encode(jpeg_bytes(texture.image, 90)).decode()
    text = json.dumps(data).replace("<", "\\u003c")  # a file name must not end the script
    return PAGE.read_text(encoding="utf-8").replace("{{data}}", text, 1)


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()
