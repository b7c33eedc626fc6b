"""The OpenGL renderer: pyrender off-screen, with its traps disarmed (design: rendering_and_masks A1, A2). The only file that imports pyrender.

What is changed against plain pyrender, each measured there: no hidden 4x multisampling (it moves depth off the pixel centres and costs a factor 2 to 4),
the orthographic depth formula corrected, the viewer (pyglet, X libraries) never imported, one scene for all views, flat shading of colours computed here.
"""

import os
import subprocess
import sys
import types
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.renderers import SurfaceView, View
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.raster import mean_of_covered

_DISTANCE_M, _NEAR_M, _FAR_M = 2.0, 0.05, 4.05  # the camera stands 2 m before the subject's middle
_HEADROOM = 2.0  # vertex light may exceed 1, the material's factor undoes this division: pyrender keeps 8 bits only after both
_PROBE = "from ncpifu_cli.data.renderer_pyrender import draw_test_triangle; draw_test_triangle()"
_PROBE_TIMEOUT_S = 120
INSTALL_HINT = "on Debian and Ubuntu: apt-get install --no-install-recommends libegl1 libgl1; or use --renderer raster, which needs no OpenGL"


class PyrenderRenderer:
    """Draws one subject at a time; see `renderers.Renderer`.

    One per process and thread: closing any EGL renderer ends the OpenGL of the whole process. Never fork after making one.
    Raises NcpifuError where OpenGL does not work.
    """

    name = "pyrender"

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        pyrender = _import_pyrender()
        try:
            self._gl: Any = pyrender.OffscreenRenderer(2 * size_px, 2 * size_px)
        except Exception as error:
            raise NcpifuError(f"OpenGL does not work here: {_first_line(error)}", INSTALL_HINT) from error
        self._scene: Any = pyrender.Scene(bg_color=[0, 0, 0, 0])
        pose = np.eye(4)
        pose[2, 3] = _DISTANCE_M
        self._scene.add(pyrender.OrthographicCamera(HALF_EXTENT_M, HALF_EXTENT_M, znear=_NEAR_M, zfar=_FAR_M), pose=pose)
        # Both sides are drawn: scans have holes, garments have open ends.
        self._flags = pyrender.RenderFlags.FLAT | pyrender.RenderFlags.RGBA | pyrender.RenderFlags.SKIP_CULL_FACES
        self._scan: Scan | None = None
        self._material: Any = None

    def load(self, scan: Scan) -> None:
        pyrender = _import_pyrender()
        texture = None if scan.texture is None else pyrender.Texture(source=scan.texture.image, source_channels="RGB")
        self._scan = scan
        self._material = pyrender.MetallicRoughnessMaterial(baseColorTexture=texture, baseColorFactor=[_HEADROOM] * 3 + [1.0])

    def view(self, camera: Camera, light: NDArray[np.float32]) -> View:
        scan = self._loaded()
        albedo = scan.colors / np.float32(255) if scan.texture is None else np.ones_like(light)
        uv = None if scan.texture is None else scan.texture.uv
        rgba, depth = self._draw(camera, 2 * self.size_px, albedo * light / _HEADROOM, uv, self._material)
        image, mask = mean_of_covered(rgba[..., :3].astype(np.float32), depth > 0)
        return View(np.rint(image).astype(np.uint8), mask)

    def surface(self, camera: Camera) -> SurfaceView:
        scan = self._loaded()
        # pyrender has no normal output: draw them as colours. 8 bits leave 0.2 degrees of error.
        seen = scan.normals @ camera.rotation.T.astype(np.float32)
        rgba, depth = self._draw(camera, self.size_px, seen * 0.5 + 0.5, None, None)
        mask = depth > 0
        # pyrender applies the perspective formula to orthographic depth (its issue 254): go back to the depth buffer's value and on to metres.
        value = np.where(mask, (_FAR_M + _NEAR_M - 2 * _NEAR_M * _FAR_M / np.where(mask, depth, 1)) / (_FAR_M - _NEAR_M), 0)
        distance_m = (value * (_FAR_M - _NEAR_M) + _FAR_M + _NEAR_M) / 2
        depth_ndc = np.where(mask, (_DISTANCE_M - distance_m) / HALF_EXTENT_M, 0).astype(np.float32)
        normals = rgba[..., :3].astype(np.float32) * np.float32(2 / 255) - 1
        normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
        return SurfaceView(mask, depth_ndc, normals * mask[..., None])

    def close(self) -> None:
        self._gl.delete()

    def _draw(
        self, camera: Camera, size_px: int, colors: NDArray[np.floating], uv: NDArray[np.float32] | None, material: Any
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        pyrender, scan = _import_pyrender(), self._loaded()
        primitive = pyrender.Primitive(positions=scan.vertices, indices=scan.faces, mode=4, color_0=colors, texcoord_0=uv, material=material)
        pose = np.eye(4)
        pose[:3, :3] = camera.rotation
        node = self._scene.add(pyrender.Mesh([primitive]), pose=pose)
        self._gl.viewport_width = self._gl.viewport_height = size_px
        try:
            return self._gl.render(self._scene, flags=self._flags)
        finally:
            self._scene.remove_node(node)

    def _loaded(self) -> Scan:
        if self._scan is None:
            raise RuntimeError("load a scan before drawing views")
        return self._scan


def gl_problem() -> str | None:
    """Why pyrender cannot draw on this machine, in one line; None where it can. Tried in a process of its own: a broken driver may crash or hang."""
    try:
        outcome = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no picture within {_PROBE_TIMEOUT_S} s"
    if outcome.returncode == 0:
        return None
    lines = outcome.stderr.strip().splitlines()
    return lines[-1].removeprefix("ncpifu_cli.errors.NcpifuError: ") if lines else f"the test process ended with status {outcome.returncode}"


def draw_test_triangle() -> None:
    """Draw one triangle and look at it; NcpifuError where the picture is wrong."""
    from ncpifu_cli.geometry.camera import normalise_subject

    vertices = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0, 0.5, 0.25]], np.float32)
    normals = np.tile(np.array([[0, 0, 1]], np.float32), (3, 1))
    scan = Scan("test", vertices, np.array([[0, 1, 2]], np.int32), np.full((3, 3), 200, np.uint8), normals, normalise_subject(vertices))
    renderer = PyrenderRenderer(32)
    renderer.load(scan)
    seen = renderer.surface(Camera())
    if not (seen.mask[16, 16] and not seen.mask[2, 2] and seen.normals[16, 16, 2] > 0.98):
        raise NcpifuError("OpenGL draws a wrong picture here", INSTALL_HINT)


@lru_cache(maxsize=1)
def _import_pyrender() -> Any:
    if os.environ.get("PYOPENGL_PLATFORM", "") not in ("egl", "osmesa"):
        os.environ["PYOPENGL_PLATFORM"] = "egl"  # before the first import of OpenGL; anything else needs a display
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software GL: the processes share the cores already
    if "pyrender.viewer" not in sys.modules:  # the window drags in pyglet and X libraries that servers lack
        viewer = types.ModuleType("pyrender.viewer")
        viewer.Viewer = None  # type: ignore[attr-defined]
        sys.modules["pyrender.viewer"] = viewer
    try:
        import pyrender
        import pyrender.renderer as internals
    except (ImportError, AttributeError, OSError, SystemExit) as error:  # PyOpenGL looks for libGL while it is imported
        raise NcpifuError(f"pyrender cannot be imported: {_first_line(error)}", INSTALL_HINT) from error
    multisample = internals.glRenderbufferStorageMultisample
    internals.glRenderbufferStorageMultisample = lambda target, _, form, width, height: multisample(target, 0, form, width, height)
    return pyrender


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
