"""The OpenGL renderer: pyrender off-screen, with its traps disarmed (design: rendering_and_masks A1, A2). The only file that imports pyrender.

What is changed against plain pyrender, each measured there: no hidden 4x multisampling (it moves depth off the pixel centres and costs a factor 2 to 4),
the depth buffer read as it is (pyrender applies a perspective formula to orthographic depth), the viewer (pyglet, X libraries) never imported, one scene
and one upload of the mesh for all views, no mipmaps, shaders (`shaders/`) that only transform and multiply, no copies between frame buffers, no blending.
"""

import os
import subprocess
import sys
import types
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.renderers import SurfaceView, View
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.raster import mean_of_covered

_DISTANCE_M, _NEAR_M, _FAR_M = 2.0, 0.05, 4.05  # the camera stands 2 m before the subject's middle
_SHADERS = Path(__file__).resolve().parent / "shaders"
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
        self._gl._renderer._program_cache.shader_dir = str(_SHADERS)
        self._gl._renderer._read_main_framebuffer = self._read_pixels
        self._scene: Any = pyrender.Scene(bg_color=[0, 0, 0, 0])
        pose = np.eye(4)
        pose[2, 3] = _DISTANCE_M
        self._scene.add(pyrender.OrthographicCamera(HALF_EXTENT_M, HALF_EXTENT_M, znear=_NEAR_M, zfar=_FAR_M), pose=pose)
        # Both sides are drawn: scans have holes, garments have open ends.
        self._flags = pyrender.RenderFlags.FLAT | pyrender.RenderFlags.RGBA | pyrender.RenderFlags.SKIP_CULL_FACES
        self._scan: Scan | None = None
        self._drawables: list[_Drawable] = []
        self._with_depth = False

    def load(self, scan: Scan) -> None:
        for drawable in self._drawables:
            self._scene.remove_node(drawable.node)
        self._scan = scan
        self._drawables = [_Drawable(self._scene, scan, textured) for textured in ([False] if scan.texture is None else [False, True])]

    def view(self, camera: Camera, light: NDArray[np.float32]) -> View:
        scan = self._loaded()
        albedo = np.float32(255) if scan.texture is not None else scan.colors
        rgba, _ = self._draw(self._drawables[-1], camera, 2 * self.size_px, albedo * light * np.float32(1 / (255 * _HEADROOM)))
        image, mask = mean_of_covered(rgba[..., :3], rgba[..., 3] > 0)
        return View(np.rint(image).astype(np.uint8), mask)

    def surface(self, camera: Camera) -> SurfaceView:
        scan = self._loaded()
        # pyrender has no normal output: draw them as colours. 8 bits leave 0.2 degrees of error.
        seen = scan.normals @ camera.rotation.T.astype(np.float32)
        rgba, depth = self._draw(self._drawables[0], camera, self.size_px, (seen * 0.5 + 0.5) / _HEADROOM, with_depth=True)
        mask = rgba[..., 3] > 0
        distance_m = _NEAR_M + depth * np.float32(_FAR_M - _NEAR_M)
        depth_ndc = np.where(mask, (_DISTANCE_M - distance_m) / HALF_EXTENT_M, 0).astype(np.float32)
        normals = rgba[..., :3].astype(np.float32) * np.float32(2 / 255) - 1
        normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
        return SurfaceView(mask, depth_ndc, normals * mask[..., None])

    def close(self) -> None:
        self._gl.delete()

    def _draw(
        self, drawable: "_Drawable", camera: Camera, size_px: int, colors: NDArray[np.float32], with_depth: bool = False
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """(S, S, 4) uint8 colours and (S, S) float32 values of the depth buffer, 0 near to 1 far (empty unless asked for)."""
        for one in self._drawables:
            one.node.mesh.is_visible = one is drawable
        pose = np.eye(4)
        pose[:3, :3] = camera.rotation
        self._scene.set_pose(drawable.node, pose)
        self._gl.viewport_width = self._gl.viewport_height = size_px
        self._with_depth = with_depth
        self._gl._platform.make_current()
        self._gl._renderer._update_context(self._scene, self._flags)  # uploads what is new in the scene, so that there is a buffer to fill
        drawable.upload(colors)
        return self._gl.render(self._scene, flags=self._flags)

    def _read_pixels(self, _scene: Any, _flags: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """In place of pyrender's own: no copies between frame buffers, no depth unless asked for, and none of its perspective formula (its issue 254)."""
        import OpenGL.GL as gl

        renderer = self._gl._renderer
        width, height = renderer._main_fb_dims
        gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, renderer._main_fb_ms)
        rgba = np.frombuffer(gl.glReadPixels(0, 0, width, height, gl.GL_RGBA, gl.GL_UNSIGNED_BYTE), np.uint8).reshape(height, width, 4)
        depth = np.zeros((0, 0), np.float32)
        if self._with_depth:
            depth = np.frombuffer(gl.glReadPixels(0, 0, width, height, gl.GL_DEPTH_COMPONENT, gl.GL_FLOAT), np.float32).reshape(height, width)
        return rgba[::-1], depth[::-1]

    def _loaded(self) -> Scan:
        if self._scan is None:
            raise RuntimeError("load a scan before drawing views")
        return self._scan


class _Drawable:
    """A scan's triangles on the graphics side. They stay there for all views; only the colours are sent anew."""

    def __init__(self, scene: Any, scan: Scan, textured: bool) -> None:
        pyrender = _import_pyrender()
        texture, uv = None, None
        if textured and scan.texture is not None:
            # No mipmaps: they mix the islands of an atlas with each other and with the background between them. Textures are 2 K at most, pictures drawn at 2x.
            edge = pyrender.GLTF.CLAMP_TO_EDGE
            sampler = pyrender.Sampler(magFilter=pyrender.GLTF.LINEAR, minFilter=pyrender.GLTF.LINEAR, wrapS=edge, wrapT=edge)
            texture, uv = pyrender.Texture(source=scan.texture.image, source_channels="RGB", sampler=sampler), scan.texture.uv
        material = pyrender.MetallicRoughnessMaterial(baseColorTexture=texture, baseColorFactor=[_HEADROOM] * 3 + [1.0])
        white = np.ones((len(scan.vertices), 4), np.float32)
        self._primitive = pyrender.Primitive(positions=scan.vertices, indices=scan.faces, mode=4, texcoord_0=uv, color_0=white, material=material)
        self._rows = np.hstack([scan.vertices, white] if uv is None else [scan.vertices, uv, white]).astype(np.float32)  # as pyrender lays its buffer out
        self.node = scene.add(pyrender.Mesh([self._primitive]))

    def upload(self, colors: NDArray[np.float32]) -> None:
        import OpenGL.GL as gl

        self._rows[:, -4:-1] = colors
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, self._primitive._buffers[0])
        gl.glBufferSubData(gl.GL_ARRAY_BUFFER, 0, self._rows.nbytes, self._rows)


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
    enable = internals.glEnable
    internals.glEnable = lambda capability: None if capability == internals.GL_BLEND else enable(capability)  # nothing here is transparent
    return pyrender


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
