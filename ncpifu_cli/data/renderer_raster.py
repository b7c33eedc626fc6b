"""The renderer without OpenGL: the numba z-buffer at twice the size, averaged down (design: rendering_and_masks A4)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.renderers import SurfaceView, View
from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.raster import RasterBuffer, interpolate, interpolate_down, mean_of_covered, rasterise


class RasterRenderer:
    """Draws one subject at a time; see `renderers.Renderer`. Any number may live in one process, one per thread."""

    name = "raster"

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        self._scan: Scan | None = None

    def load(self, scan: Scan) -> None:
        self._scan = scan

    def view(self, camera: Camera, light: NDArray[np.float32]) -> View:
        scan = self._loaded()
        buffer = rasterise(camera.world_to_ndc(scan.vertices), scan.faces, 2 * self.size_px)
        if scan.texture is None:
            image, mask = interpolate_down(buffer, np.minimum(scan.colors * light, 255))
        else:
            colours = _textured(buffer, scan) * interpolate(buffer, scan.faces, light)
            image, mask = mean_of_covered(np.minimum(colours, 255), buffer.mask)
        return View(np.rint(image).astype(np.uint8), mask)

    def surface(self, camera: Camera) -> SurfaceView:
        scan = self._loaded()
        buffer = rasterise(camera.world_to_ndc(scan.vertices), scan.faces, self.size_px)
        normals = interpolate(buffer, scan.faces, scan.normals @ camera.rotation.T.astype(np.float32))
        length = np.linalg.norm(normals, axis=2, keepdims=True)
        return SurfaceView(buffer.mask, buffer.depth_ndc, normals / np.maximum(length, 1e-9))

    def close(self) -> None:
        self._scan = None

    def _loaded(self) -> Scan:
        if self._scan is None:
            raise RuntimeError("load a scan before drawing views")
        return self._scan


def _textured(buffer: RasterBuffer, scan: Scan) -> NDArray[np.float32]:
    """(2S, 2S, 3) float32 texture colours. Looked up per sub-sample: averaging coordinates first would mix the islands on both sides of a seam."""
    assert scan.texture is not None
    height, width = scan.texture.image.shape[:2]
    corner_px = np.stack([scan.texture.uv[:, 0] * width - 0.5, (1 - scan.texture.uv[:, 1]) * height - 0.5], axis=1)
    at = interpolate(buffer, scan.faces, corner_px)
    colours = cv2.remap(scan.texture.image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return colours.astype(np.float32)
