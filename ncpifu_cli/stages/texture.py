"""An image texture for a mesh: unwrapped by xatlas, each texel coloured as `SurfaceColours` colours the surface under it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.network_input import nearest_filled
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.raster import interpolate, rasterise
from ncpifu_cli.geometry.surface import vertex_normals
from ncpifu_cli.stages.colours import SurfaceColours

TEXTURE_PX = 2048
TEXTURE_FACES = 20_000  # unwrapping takes seconds per ten thousand triangles, and the texture holds the detail
GUTTER_PX = 4  # between charts, so that mip levels do not bleed


@dataclass(frozen=True)
class Texture:
    """A texture and the mesh's corners that read it.

    Attributes: image (T, T, 3) uint8 sRGB, row 0 is v = 1. source (U,): the vertex of the mesh that each texture vertex is (split at seams). uv (U, 2) float32.
        faces (F, 3) int32 into the texture vertices, in the mesh's order.
    """

    image: NDArray[np.uint8]
    source: NDArray[np.int64]
    uv: NDArray[np.float32]
    faces: NDArray[np.int32]


def bake_texture(vertices_ndc: NDArray[np.floating], faces: NDArray[np.integer], colours: SurfaceColours, size_px: int = TEXTURE_PX) -> Texture:
    """Unwrap (V, 3), (F, 3) and colour a (size_px, size_px) texture. Raises NcpifuError where xatlas is not installed."""
    source, corners, uv = _unwrap(vertices_ndc, faces, size_px)
    flat = np.column_stack([2 * uv - 1, np.zeros(len(uv))]).astype(np.float32)
    buffer = rasterise(flat, corners, size_px)
    normals = vertex_normals(vertices_ndc, faces)
    surface = interpolate(buffer, corners, np.hstack([np.asarray(vertices_ndc)[source], normals[source]]))[buffer.mask]
    unit = surface[:, 3:] / np.maximum(np.linalg.norm(surface[:, 3:], axis=1, keepdims=True), 1e-6)
    image = np.zeros((size_px, size_px, 3), np.uint8)
    image[buffer.mask] = colours.at(surface[:, :3], unit)
    return Texture(nearest_filled(image, buffer.mask), source, uv, corners)  # no dark seams under bilinear or mip-mapped lookups


def import_xatlas() -> Any:
    """xatlas; NcpifuError says how to get it."""
    try:
        import xatlas
    except ImportError as error:
        raise NcpifuError("--texture needs the package xatlas", "pip install xatlas") from error
    return xatlas


def _unwrap(vertices: NDArray[np.floating], faces: NDArray[np.integer], size_px: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Vertex of each texture vertex (U,), corners (F, 3), uv (U, 2) in 0..1 with v up, of a square texture."""
    xatlas = import_xatlas()
    atlas, packing = xatlas.Atlas(), xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = size_px, GUTTER_PX, True
    atlas.add_mesh(np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.uint32))
    atlas.generate(pack_options=packing)
    source, corners, uv = atlas[0]
    square = uv * np.array([atlas.width, atlas.height]) / max(atlas.width, atlas.height)
    return source.astype(np.int64), np.ascontiguousarray(corners, np.int32), square.astype(np.float32)
