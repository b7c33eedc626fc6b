"""Everything that can stand beside a mesh, and many photos into one folder."""

import base64
import json
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import trimesh
from photo_fixtures import busy_photo, draw_person, fake_model, save_rgba
from PIL import Image

from ncpifu_cli.config.reconstruct import ReconstructConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Silent
from ncpifu_cli.stages import export
from ncpifu_cli.stages.export import save
from ncpifu_cli.stages.outputs import Outputs, plan_outputs
from ncpifu_cli.stages.reconstruct import Reconstruction, reconstruct
from ncpifu_cli.stages.reconstruct_batch import Row, collect_photos, reconstruct_batch
from ncpifu_cli.stages.turntable import turntable_frames, write_turntable
from ncpifu_cli.stages.viewer import viewer_page


@pytest.fixture(autouse=True)
def no_mask_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "no models"))
    monkeypatch.setenv("NCPIFU_MATTING", "none")


def cutout() -> np.ndarray:
    person, mask = draw_person()
    return np.dstack([person, mask.astype(np.uint8) * 255])


@pytest.fixture(scope="module")
def result() -> Reconstruction:
    return reconstruct(cutout(), fake_model(), resolution=48, confidence=True)


@pytest.fixture(scope="module")
def textured() -> Reconstruction:
    pytest.importorskip("xatlas", reason="textures need the extra `media`")
    return reconstruct(cutout(), fake_model(), resolution=48, texture=True, faces=1500)


def test_textured_glb_shows_the_photo(textured: Reconstruction, tmp_path: Path) -> None:
    outputs = plan_outputs(tmp_path / "person.glb", ReconstructConfig(texture=True, preview=False))
    save(textured, outputs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["person.glb", "person.json"]
    read = trimesh.load(outputs.mesh, force="mesh", process=False)
    image = np.asarray(read.visual.material.baseColorTexture)
    assert np.array_equal(image, textured.texture.image)
    chest = np.argmin(np.linalg.norm(read.vertices - (0.05, 1.2, read.bounds[1, 2]), axis=1))
    u, v = read.visual.uv[chest]
    height, width = image.shape[:2]
    assert np.abs(image[int((1 - v) * height) % height, int(u * width) % width].astype(int) - (180, 45, 45)).max() < 30


def test_textured_obj_comes_with_its_material(textured: Reconstruction, tmp_path: Path) -> None:
    save(textured, plan_outputs(tmp_path / "person.obj", ReconstructConfig(texture=True, preview=False)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["person.json", "person.mtl", "person.obj", "person_texture.png"]
    read = trimesh.load(tmp_path / "person.obj", force="mesh", process=False)
    assert len(read.faces) == len(textured.mesh.faces)
    assert np.allclose(read.bounds, textured.mesh.bounds, atol=1e-5)
    assert read.visual.material.image.size == (2048, 2048)
    with pytest.raises(NcpifuError, match="cannot hold a texture"):
        plan_outputs(tmp_path / "person.ply", ReconstructConfig(texture=True))


def test_confidence_mesh_holds_the_numbers(result: Reconstruction, tmp_path: Path) -> None:
    outputs = plan_outputs(tmp_path / "person.ply", ReconstructConfig(confidence=True, preview=False))
    save(result, outputs)
    read = trimesh.load(tmp_path / "person_confidence.ply", process=False)
    assert np.allclose(read.metadata["_ply_raw"]["vertex"]["data"]["confidence"], result.confidence, atol=1e-6)
    assert set(json.loads(outputs.sidecar.read_text())["confidence"]) == {"front", "back"}


def test_turntable_turns(result: Reconstruction, tmp_path: Path) -> None:
    frames = list(turntable_frames(result, count=4, size_px=96))
    assert len({frame.shape for frame in frames}) == 1
    assert all(side % 2 == 0 for side in frames[0].shape[:2])
    assert all(np.abs(a.astype(int) - b).max() > 50 for a, b in pairwise(frames))
    write_turntable(result, tmp_path / "turn.gif", frames=3)
    with Image.open(tmp_path / "turn.gif") as film:
        assert film.n_frames == 3
        assert film.info["loop"] == 0


def test_turntable_as_mp4(result: Reconstruction, tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="films need the extra `media`")
    write_turntable(result, tmp_path / "turn.mp4", frames=4)
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "turn.mp4"))[0] == 4
    with pytest.raises(NcpifuError, match=r"\.mp4 or a \.gif"):
        plan_outputs(tmp_path / "a.obj", ReconstructConfig(turntable="film.avi"))


def page_data(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_page_holds_the_mesh_and_needs_nothing_else(result: Reconstruction) -> None:
    hostile = replace(result, prepared=replace(result.prepared, photo=replace(result.prepared.photo, name="</script><b>.png")))
    page = viewer_page(hostile)
    assert not re.search(r'(src|href)="|https?://|@import', page)
    data = page_data(page)
    assert data["title"] == "</script><b>.png"
    steps = np.frombuffer(zlib.decompress(base64.b64decode(str(data["steps"]))), "<i4")
    assert np.array_equal(np.cumsum(steps).reshape(-1, 3), result.mesh.faces)
    packed = np.frombuffer(zlib.decompress(base64.b64decode(str(data["positions"]))), "<u2").reshape(-1, 3) / 65535
    assert np.allclose(data["low"] + packed * np.subtract(data["high"], data["low"]), result.mesh.vertices, atol=1e-4)
    assert len(data["paints"]) == 2


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_page_draws_the_person_in_a_browser(result: Reconstruction, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(viewer_page(result), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path / 'chromium'}"]
    target = f"file://{tmp_path / 'page.html'}#still&yaw=0"
    picture = ["--window-size=400,400", "--virtual-time-budget=5000", f"--screenshot={tmp_path / 'page.png'}"]
    subprocess.run([str(CHROMIUM), *options, *picture, target], check=True, capture_output=True, timeout=300)
    with Image.open(tmp_path / "page.png") as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    shirt = (pixels[..., 0] > pixels[..., 1] + 70) & (pixels[..., 0] > pixels[..., 2] + 70)
    trousers = pixels[..., 2] > pixels[..., 0] + 60
    assert shirt.sum() > 500
    assert trousers.sum() > 300
    assert np.nonzero(shirt)[0].mean() < np.nonzero(trousers)[0].mean()


def test_all_or_nothing_when_interrupted(result: Reconstruction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "write_png", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(result, Outputs(tmp_path / "a.ply", tmp_path / "a.json", preview=tmp_path / "a.png"))
    assert not list(tmp_path.iterdir())


def batch(photos: list[Path], folder: Path, rows: list[Row] | None = None, **settings: object) -> list[Row]:
    config = ReconstructConfig(resolution=48, preview=False, **settings)
    return reconstruct_batch(photos, folder, ".ply", config, lambda: fake_model(), rows=rows)


def test_batch_goes_on_after_a_failure(tmp_path: Path) -> None:
    good = save_rgba(tmp_path / "good.png")
    (tmp_path / "broken.jpg").write_text("no picture")
    Image.fromarray(busy_photo()).save(tmp_path / "busy.png")
    (tmp_path / "more").mkdir()
    twin = save_rgba(tmp_path / "more" / "good.png")
    rows = batch([tmp_path / "broken.jpg", tmp_path / "busy.png", good, twin], tmp_path / "out")
    assert [row.error is None for row in rows] == [False, False, True, True]
    assert "not an image" in rows[0].error.message
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["busy_mask_guess.png", "good.json", "good.ply", "good_2.json", "good_2.ply"]


def test_a_batch_replaces_none_of_its_photos(tmp_path: Path) -> None:
    person, mask = draw_person()
    Image.fromarray(np.where(mask[..., None], person, 255).astype(np.uint8)).save(tmp_path / "a.jpg")
    Image.fromarray(busy_photo()).save(tmp_path / "b.jpg")
    for name in ("a.png", "b_mask_guess.png"):
        save_rgba(tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    config = ReconstructConfig(resolution=48)
    rows = reconstruct_batch(sorted(tmp_path.iterdir()), tmp_path, ".ply", config, lambda: fake_model())
    assert [row.error is None for row in rows] == [True, True, False, True]
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert (tmp_path / "a_preview.png").is_file() and (tmp_path / "b_mask_guess_2.png").is_file()


def test_a_preview_replaces_no_picture_but_its_own(result: Reconstruction, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_text("a mask that was drawn by hand")
    first = plan_outputs(tmp_path / "p.obj", ReconstructConfig())
    assert first.preview == tmp_path / "p_preview.png"
    assert result.save(tmp_path / "q.glb").preview == tmp_path / "q.png"
    assert result.save(tmp_path / "q.glb").preview == tmp_path / "q.png"
    assert (tmp_path / "p.png").read_text().startswith("a mask")


def test_films_of_a_batch_cannot_all_be_one_file(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="cannot all be"):
        batch([save_rgba(tmp_path / "a.png")], tmp_path / "out", turntable=str(tmp_path / "film.gif"))


def test_all_people_of_a_photo_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ncpifu_cli.stages import reconstruct_files

    one = cutout()
    Image.fromarray(np.concatenate([one, one], axis=1)).save(tmp_path / "two.png")
    config, out = ReconstructConfig(resolution=48, preview=False, person="all"), tmp_path / "out"
    people = reconstruct_files.reconstruct_to_files(tmp_path / "two.png", out / "two.ply", config, lambda: fake_model())
    assert [one.main.name for one in people] == ["two_1.ply", "two_2.ply"]
    shutil.rmtree(out)
    real, calls = reconstruct_files.reconstruct_prepared, []

    def second_fails(*arguments: object) -> Reconstruction:
        calls.append(arguments)
        if len(calls) == 2:
            raise NcpifuError("no surface")
        return real(*arguments)

    monkeypatch.setattr(reconstruct_files, "reconstruct_prepared", second_fails)
    with pytest.raises(NcpifuError, match="no surface"):
        reconstruct_files.reconstruct_to_files(tmp_path / "two.png", out / "two.ply", config, lambda: fake_model())
    assert not list(out.glob("*"))


def test_a_batch_keeps_no_pictures(tmp_path: Path) -> None:
    import gc

    from ncpifu_cli.data.photo import Photo

    Image.fromarray(busy_photo()).save(tmp_path / "busy.png")
    rows = batch([save_rgba(tmp_path / "a.png"), tmp_path / "busy.png"], tmp_path / "out")
    gc.collect()
    assert len(rows) == 2
    assert not [held for held in gc.get_objects() if isinstance(held, Photo) and held.name in ("a.png", "busy.png")]


@pytest.mark.parametrize("name", ["Žofie", "写真", "x" * 251, "写" * 83])
def test_names_in_any_language_and_as_long_as_files_may_be(textured: Reconstruction, tmp_path: Path, name: str) -> None:
    plan = plan_outputs(tmp_path / f"{name[:80]}.obj", ReconstructConfig(texture=True, preview=False))
    save(textured, plan)
    assert trimesh.load(plan.mesh, process=False).visual.uv.shape[1] == 2
    longest = plan_outputs(tmp_path / f"{name}.ply"[-255:], ReconstructConfig(preview=False)) if len(name.encode()) < 250 else None
    if longest is None:
        with pytest.raises(NcpifuError, match="too long"):
            plan_outputs(tmp_path / f"{name}.ply", ReconstructConfig(preview=False))
    else:
        save(textured, longest)
        assert longest.mesh.is_file()


def test_a_batch_says_which_photo_a_message_is_about(tmp_path: Path) -> None:
    class Told(Silent):
        lines: ClassVar[list[str]] = []

        def warn(self, message: str) -> None:
            self.lines.append(message)

    Image.fromarray(busy_photo()).save(tmp_path / "busy.png")
    config = ReconstructConfig(resolution=48, preview=False, allow_rough_mask=True)
    reconstruct_batch([tmp_path / "busy.png"], tmp_path / "out", ".ply", config, lambda: fake_model(), reporter=Told())
    assert any("only a guess" in line for line in Told.lines)
    assert all(line.startswith("busy.png: ") for line in Told.lines)


def test_batch_with_folders_of_masks(tmp_path: Path) -> None:
    photo = tmp_path / "person.jpg"
    person, mask = draw_person()
    Image.fromarray(person).save(photo)
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "person.png")
    rows = batch([photo], tmp_path / "out", mask=str(tmp_path / "masks"), save_mask=str(tmp_path / "used"))
    assert rows[0].people[0].mask["source"] == "mask file"
    assert (tmp_path / "used" / "person.png").is_file()
    with pytest.raises(NcpifuError, match="not a folder"):
        batch([photo], tmp_path / "out", mask=str(photo))


def test_batch_that_is_interrupted_tells_how_far_it_came(tmp_path: Path) -> None:
    photos = [save_rgba(tmp_path / f"{name}.png") for name in ("a", "b")]
    rows: list[Row] = []
    answers = iter([fake_model()])

    def load() -> object:
        try:
            return next(answers)
        except StopIteration:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        reconstruct_batch(photos, tmp_path / "out", ".ply", ReconstructConfig(resolution=48, preview=False), load, rows=rows)
    assert [row.photo.name for row in rows] == ["a.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.json", "a.ply"]


def test_photos_from_folders_and_lists(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.md", "._b.png"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("# mine\nb.png\n\nsub/c.png  # far\n")
    assert [path.name for path in collect_photos([tmp_path])] == ["a.JPG", "b.png"]
    assert collect_photos([tmp_path / "list.txt", tmp_path / "b.png"]) == [tmp_path / "b.png", tmp_path / "sub" / "c.png"]
    for name in ("a_mask.png", "a_mask_guess_2.png", "c.png", "gas_mask.png"):  # the last is somebody's photo
        (tmp_path / name).touch()
    (tmp_path / "c.json").write_text(
        json.dumps({"format": "ncpifu-reconstruction", "photo": {"file": "c.jpg"}, "mesh": {"file": "c.obj"}})
    )  # so c.png is its preview
    assert [path.name for path in collect_photos([tmp_path])] == ["a.JPG", "b.png", "gas_mask.png"]
    (tmp_path / "none").mkdir()
    for bad in ("none", "missing.txt"):
        with pytest.raises(NcpifuError):
            collect_photos([tmp_path / bad])


def test_a_mask_alone_is_named_by_the_output_or_beside_the_mesh(tmp_path: Path) -> None:
    alone = ReconstructConfig(mask_only=True)
    with pytest.raises(NcpifuError, match=r"masks are not written as '\.jpg'"):
        plan_outputs(tmp_path / "me.jpg", alone)
    assert plan_outputs(tmp_path / "me.png", alone).mask == tmp_path / "me.png"
    assert plan_outputs(tmp_path / "me.png", alone, person=2).mask == tmp_path / "me_2.png"
    assert plan_outputs(tmp_path / "me.obj", alone).mask == tmp_path / "me_mask.png"
    assert plan_outputs(tmp_path / "me.obj", ReconstructConfig(mask_only=True, save_mask=str(tmp_path / "m.png"))).mask == tmp_path / "m.png"
    with pytest.raises(NcpifuError, match="unknown mesh format"):
        plan_outputs(tmp_path / "me.png", ReconstructConfig())
    with pytest.raises(NcpifuError, match="replace an input"):
        plan_outputs(tmp_path / "me.png", alone, [tmp_path / "me.png"])
