"""One HTML file that shows a mesh in any browser with WebGL: opened from disk, no internet, no library. The page itself is viewer.html."""

import base64
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.stages.pictures import jpeg_bytes
from ncpifu_cli.stages.preview import photo_tile

if TYPE_CHECKING:
    from ncpifu_cli.stages.reconstruct import Reconstruction

PAGE = Path(__file__).with_name("viewer.html")
PHOTO_PX = 360


def viewer_page(result: "Reconstruction") -> str:
    """The page: positions in 16 bits of the bounding box, colours in 8, triangles as differences, all deflated and in base64."""
    mesh, photo = result.mesh, result.prepared.photo
    paints = [np.asarray(mesh.visual.vertex_colors)[:, :3]]  # type: ignore[union-attr]
    if result.confidence is not None:
        from ncpifu_cli.stages.confidence import confidence_colours

        paints.append(confidence_colours(result.confidence))
    low, high = mesh.bounds
    positions = np.round((mesh.vertices - low) / np.maximum(high - low, 1e-9) * 65535).astype("<u2")
    corners = np.asarray(mesh.faces, np.int64).reshape(-1)
    steps = np.diff(corners, prepend=0).astype("<i4")  # neighbouring triangles have neighbouring corners: small numbers deflate well
    data: dict[str, Any] = {
        "title": photo.name,
        "facts": f"{mesh.extents[1]:.2f} m tall, {len(mesh.vertices):,} vertices, {len(mesh.faces):,} triangles",
        "low": low.tolist(),
        "high": high.tolist(),
        "positions": _packed(positions),
        "steps": _packed(steps),
        "paints": [_packed(paint) for paint in paints],
        "photo": base64.b64encode(jpeg_bytes(photo_tile(result, PHOTO_PX))).decode(),
    }
    text = json.dumps(data).replace("<", "\\u003c")  # a file name must not end the script
    return PAGE.read_text(encoding="utf-8").replace("{{data}}", text, 1)


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode()
