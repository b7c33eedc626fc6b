"""What a renderer is, and which one to take."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.geometry.mesh import Scan


@dataclass(frozen=True)
class View:
    """A picture. Attributes: rgb (S, S, 3) uint8, background 0, the subject's own colour up to the outline. mask (S, S) bool."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceView:
    """What lies at each pixel's centre. Attributes: mask (S, S) bool. depth_ndc (S, S) float32, z towards the camera, 0 where empty.
    normals (S, S, 3) float32 unit vectors in the camera's frame, 0 where empty."""

    mask: NDArray[np.bool_]
    depth_ndc: NDArray[np.float32]
    normals: NDArray[np.float32]


class Renderer(Protocol):
    """Draws views of one loaded subject."""

    name: str
    size_px: int

    def load(self, scan: Scan) -> None:
        """Take this subject from now on."""

    def view(self, camera: Camera, light: NDArray[np.float32]) -> View:
        """The subject's colours times `light` (V, 3) float32 per vertex (1 = the albedo itself), anti-aliased."""
        ...

    def surface(self, camera: Camera) -> SurfaceView:
        """Mask, depth and normals at the pixels' centres."""
        ...

    def close(self) -> None:
        """Give its resources back."""


def choose_renderer(name: str) -> tuple[str, str]:
    """The renderer that `name` ("auto", "pyrender", "raster") means on this machine.

    Returns: "pyrender" or "raster", and why where auto falls back (else ""). Raises NcpifuError where pyrender is asked for and cannot work.
    """
    if name == "raster":
        return name, ""
    from ncpifu_cli.data.renderer_pyrender import INSTALL_HINT, gl_problem

    problem = gl_problem()
    if problem is None:
        return "pyrender", ""
    if name == "auto":
        return "raster", f"pyrender has no working OpenGL here ({problem}): the raster renderer draws instead, with the same result"
    raise NcpifuError(f"pyrender has no working OpenGL here: {problem}", INSTALL_HINT)


def make_renderer(name: str, size_px: int) -> Renderer:
    """A renderer by its chosen name, "pyrender" or "raster"; only the modules of that one are imported."""
    if name == "raster":
        from ncpifu_cli.data.renderer_raster import RasterRenderer

        return RasterRenderer(size_px)
    from ncpifu_cli.data.renderer_pyrender import PyrenderRenderer

    return PyrenderRenderer(size_px)
