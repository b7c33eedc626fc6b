from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scan_fixtures import write_draco, write_thuman2

from ncpifu_cli.data import light, prt
from ncpifu_cli.data.renderer_pyrender import PyrenderRenderer, gl_problem
from ncpifu_cli.data.renderer_raster import RasterRenderer
from ncpifu_cli.data.renderers import choose_renderer, make_renderer
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera, ndc_to_px
from ncpifu_cli.geometry.mesh import Scan, TexturedUV

SIZE = 256


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("plain")
    write_draco(folder / "train-000001.drc")
    return read_scan(find_scans(folder)[0])


@pytest.fixture(scope="module")
def textured(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("textured")
    write_thuman2(folder)
    return read_scan(find_scans(folder)[0])


@pytest.fixture(scope="module")
def pyrender_renderer() -> Iterator[PyrenderRenderer]:
    problem = gl_problem()
    if problem is not None:
        pytest.skip(f"pyrender has no working OpenGL here: {problem}")
    renderer = PyrenderRenderer(SIZE)  # one for the whole process: closing one would end the OpenGL of all
    yield renderer
    renderer.close()


@pytest.mark.parametrize("which", ["plain", "textured"])
def test_raster_view_has_the_albedo_and_left_is_left(which: str, request: pytest.FixtureRequest) -> None:
    scan: Scan = request.getfixturevalue(which)
    renderer = RasterRenderer(SIZE)
    renderer.load(scan)
    front, back = (renderer.view(Camera(yaw), np.ones_like(scan.vertices)) for yaw in (0, 180))
    heights = np.nonzero(front.mask.any(axis=1))[0]
    assert np.ptp(heights) + 1 == pytest.approx(1.8 / (2 * HALF_EXTENT_M) * SIZE, abs=1.5)  # 88 % of the picture
    assert (front.rgb[~front.mask] == 0).all()
    assert abs(np.median(front.rgb[front.mask], axis=0) - [220, 40, 40]).max() <= 6
    assert abs(np.median(back.rgb[back.mask], axis=0) - [40, 40, 220]).max() <= 6
    arm_row = round(float(ndc_to_px(np.array([0, (1.2 / 1.7 * 1.8 - 0.9) / HALF_EXTENT_M]), SIZE)[1]))
    for view, side in ((front, 1), (back, -1)):
        columns = np.nonzero(view.mask[arm_row])[0] - SIZE / 2
        assert side * columns.mean() > 10  # its left arm is at the picture's right seen from the front, at the left seen from behind


def test_stored_camera_projects_vertices_onto_the_mask_and_their_depth(plain: Scan) -> None:
    renderer = RasterRenderer(SIZE)
    renderer.load(plain)
    for camera in (Camera(30), Camera(200, 15)):
        seen = renderer.surface(camera)
        ndc = camera.world_to_ndc(plain.vertices)
        column, row = np.floor(ndc_to_px(ndc, SIZE)).astype(int).T
        around = cv2.dilate(seen.mask.astype(np.uint8), np.ones((3, 3))) > 0  # a vertex of the outline may lie in the pixel beside it
        assert around[row, column].all()
        front = (plain.normals @ camera.rotation.T)[:, 2] > 0.5
        error = abs(seen.depth_ndc[row, column] - ndc[:, 2])[front & seen.mask[row, column]]
        assert np.median(error) < 0.01
        normals = seen.normals[seen.mask]
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("which", ["plain", "textured"])
def test_both_renderers_draw_the_same(which: str, request: pytest.FixtureRequest, pyrender_renderer: PyrenderRenderer) -> None:
    scan: Scan = request.getfixturevalue(which)
    raster = RasterRenderer(SIZE)
    raster.load(scan)
    pyrender_renderer.load(scan)
    transfer = prt.unshadowed(scan.normals)
    environment = light.environment(np.random.default_rng(4)) * 1.3  # some vertices are brighter than white
    for camera in (Camera(0), Camera(75), Camera(160, -20)):
        on_vertices = light.shading(transfer, environment, camera.rotation)
        ours, theirs = raster.view(camera, on_vertices), pyrender_renderer.view(camera, on_vertices)
        assert (ours.mask ^ theirs.mask).sum() <= 3
        both = ours.mask & theirs.mask
        difference = abs(ours.rgb.astype(int) - theirs.rgb)[both]
        assert difference.mean() < 1.5
        assert np.percentile(difference, 99) <= 6 if which == "plain" else np.percentile(difference, 95) <= 6
        near, far = raster.surface(camera), pyrender_renderer.surface(camera)
        assert (near.mask ^ far.mask).sum() <= 3
        both = near.mask & far.mask
        depth_m = abs(near.depth_ndc - far.depth_ndc)[both] * HALF_EXTENT_M
        assert np.percentile(depth_m, 99) < 1e-5
        degrees = np.degrees(np.arccos((near.normals * far.normals).sum(axis=2)[both].clip(-1, 1)))
        assert np.percentile(degrees, 99) < 0.5


def test_islands_of_an_atlas_do_not_mix(plain: Scan, pyrender_renderer: PyrenderRenderer) -> None:
    corners, count = plain.faces.reshape(-1), len(plain.faces)
    size, pitch = 2048, 32  # each face has an island of its own, red on white
    column, row = np.arange(count) % (size // pitch), np.arange(count) // (size // pitch)
    image = np.full((size, size, 3), 255, np.uint8)
    for x, y in zip(column * pitch, row * pitch, strict=True):
        image[y : y + 28, x : x + 28] = 220, 40, 40
    triangle = np.array([[2, 2], [26, 2], [2, 26]])
    px = (np.stack([column, row], axis=1)[:, None] * pitch + triangle).reshape(-1, 2)
    texture = TexturedUV(image, np.stack([px[:, 0] / size, 1 - px[:, 1] / size], axis=1).astype(np.float32))
    split = {"vertices": plain.vertices[corners], "colors": plain.colors[corners], "normals": plain.normals[corners]}
    scan = replace(plain, **split, faces=np.arange(3 * count, dtype=np.int32).reshape(-1, 3), texture=texture)
    raster = RasterRenderer(SIZE)
    for renderer in (raster, pyrender_renderer):
        renderer.load(scan)
        view = renderer.view(Camera(20), np.ones_like(scan.vertices))
        assert abs(view.rgb[view.mask].astype(int) - [220, 40, 40]).max() <= 2


def test_pyrender_takes_one_scan_after_another(plain: Scan, textured: Scan, pyrender_renderer: PyrenderRenderer) -> None:
    first, second = [], []
    for views in (first, second):
        for scan in (plain, textured):
            pyrender_renderer.load(scan)
            views.append(pyrender_renderer.view(Camera(40), np.ones_like(scan.vertices)).rgb)
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()
    assert (first[0] != first[1]).any()


def test_a_renderer_needs_a_scan() -> None:
    with pytest.raises(RuntimeError, match="load a scan"):
        RasterRenderer(16).view(Camera(), np.zeros((0, 3), np.float32))


def test_auto_falls_back_to_raster_where_gl_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncpifu_cli.data.renderer_pyrender.gl_problem", lambda: "no libEGL")
    name, why = choose_renderer("auto")
    assert name == "raster"
    assert "no libEGL" in why
    with pytest.raises(NcpifuError, match="no libEGL") as caught:
        choose_renderer("pyrender")
    assert "apt-get install" in caught.value.hint
    assert choose_renderer("raster") == ("raster", "")
    assert make_renderer("raster", 16).name == "raster"


def test_a_missing_gl_device_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOPENGL_PLATFORM", "egl")
    monkeypatch.setenv("EGL_DEVICE_ID", "99")
    problem = gl_problem()
    assert problem is not None
    assert "\n" not in problem
    assert "Traceback" not in problem


def test_a_system_without_gl_libraries_draws_with_raster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        """
import ctypes, ctypes.util
ctypes.util.find_library = lambda name: None
load = ctypes.CDLL.__init__
def bare(self, name, *args, **kwargs):
    if name and "GL" in str(name):
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")
    load(self, name, *args, **kwargs)
ctypes.CDLL.__init__ = bare
"""
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    name, why = choose_renderer("auto")
    assert name == "raster"
    assert "cannot be imported" in why
    with pytest.raises(NcpifuError) as caught:
        choose_renderer("pyrender")
    assert "libegl1 libgl1" in caught.value.hint


def test_rasters_share_a_process(plain: Scan, tmp_path: Path) -> None:
    one, two = RasterRenderer(64), RasterRenderer(128)
    for renderer in (one, two):
        renderer.load(plain)
    light_on = np.ones_like(plain.vertices)
    assert (one.view(Camera(10), light_on).rgb == one.view(Camera(10), light_on).rgb).all()
    assert two.view(Camera(10), light_on).rgb.shape == (128, 128, 3)
