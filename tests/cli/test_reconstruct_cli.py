"""`ncpifu reconstruct` as a user meets it: the good way, and every kind of bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photo_fixtures import InflatedOutline, busy_photo, draw_person, fake_model, save_rgba, wall_photo
from PIL import Image
from typer.testing import CliRunner, Result

from ncpifu_cli.cli.app import app
from ncpifu_cli.cli.reconstruct import parse_box
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages import reconstruct_files

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Invoke the command in an empty folder, with the outline network in place of trained weights unless --weights is given."""
    (tmp_path / "work").mkdir()
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "no models"))
    monkeypatch.setenv("NCPIFU_MATTING", "none")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "1000")
    real_find, real_load = reconstruct_files.find_weights, reconstruct_files.load_model

    def find(weights: str | None) -> Path:
        return Path("fake") if weights is None else real_find(weights)

    def load(path: Path, device: str, profile: str | None) -> object:
        return fake_model() if path == Path("fake") else real_load(path, device, profile)

    monkeypatch.setattr(reconstruct_files, "find_weights", find)
    monkeypatch.setattr(reconstruct_files, "load_model", load)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["reconstruct", "--resolution", "48", *map(str, arguments)])

    return invoke


def photos(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def files(folder: Path = Path(".")) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def assert_one_clear_line(result: Result, message: str, code: int = 1) -> None:
    """The error and its hint, and nothing else that looks like an accident."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    assert message in lines[0]
    assert "Traceback" not in result.output
    assert [line for line in result.stderr.splitlines() if line.startswith("hint: ")], result.stderr


def test_photo_to_mesh(run: Run, tmp_path: Path) -> None:
    photo = save_rgba(photos(tmp_path) / "person.png")
    result = run(photo, "-o", "mesh.obj")
    assert result.exit_code == 0, result.output
    assert result.stdout == "mesh.obj\n"
    assert files() == ["mesh.json", "mesh.obj", "mesh.png"]
    assert "alpha channel" in result.stderr


def test_the_photo_is_never_replaced(run: Run) -> None:
    photo = save_rgba(Path("person.png"))
    before = photo.read_bytes()
    result = run(photo, "-o", "person.obj")
    assert result.exit_code == 0, result.output
    assert files() == ["person.json", "person.obj", "person.png", "person_preview.png"]
    assert_one_clear_line(run(photo, "-o", "person.obj", "--save-mask", "person.png"), "would replace an input")
    assert photo.read_bytes() == before


def test_default_output_quiet_and_json(run: Run, tmp_path: Path) -> None:
    photo = save_rgba(photos(tmp_path) / "person.png")
    quiet = run(photo, "--quiet", "--no-preview")
    assert (quiet.stdout, quiet.stderr) == ("out/person.obj\n", "")
    assert files() == ["out/person.json", "out/person.obj"]
    answer = run(photo, "-o", "m.glb", "--json", "--save-mask", "mask.png", "--height", 1.6)
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    written = {name: path for name, path in document["files"].items() if path is not None}
    assert written == {"mesh": "m.glb", "sidecar": "m.json", "preview": "m.png", "mask": "mask.png"}
    assert document["mesh"]["size_m"][1] == pytest.approx(1.6)


def test_a_written_mask_can_be_given_back(run: Run, tmp_path: Path) -> None:
    rgb, _ = wall_photo()
    Image.fromarray(rgb).save(photos(tmp_path) / "wall.png")
    assert run(photos(tmp_path) / "wall.png", "-o", "a.ply", "--save-mask", "mask.png").exit_code == 0
    again = run(photos(tmp_path) / "wall.png", "-o", "b.ply", "--mask", "mask.png")
    assert again.exit_code == 0, again.output
    assert Path("a.ply").read_bytes() == Path("b.ply").read_bytes()


def test_busy_background_stops_with_a_draft(run: Run, tmp_path: Path) -> None:
    Image.fromarray(busy_photo()).save(photos(tmp_path) / "busy.png")
    result = run(photos(tmp_path) / "busy.png", "-o", "mesh.obj")
    assert_one_clear_line(result, "could not find the person", code=3)
    assert files() == ["mesh_mask_guess.png"]
    assert "mesh_mask_guess.png" in result.stderr
    assert run(photos(tmp_path) / "busy.png", "-o", "mesh.obj", "--allow-rough-mask").exit_code == 0
    boxed = run(photos(tmp_path) / "busy.png", "-o", "boxed.obj", "--person-box", "60,10,180,380")
    assert boxed.exit_code == 0, boxed.output
    assert "person box" in boxed.stderr


def bad_photos(folder: Path) -> dict[str, str]:
    """Write the bad photos; name -> a part of the message."""
    (folder / "folder.jpg").mkdir()
    (folder / "text.jpg").write_text("not a picture")
    whole = folder / "whole.jpg"
    Image.fromarray(wall_photo()[0]).save(whole)
    (folder / "truncated.jpg").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("RGB", (300, 400), (90, 90, 90)).save(folder / "nobody.png")
    Image.new("RGBA", (300, 400)).save(folder / "transparent.png")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    return {
        "missing.jpg": "does not exist",
        "folder.jpg": "there is no photo in",
        "text.jpg": "not an image",
        "truncated.jpg": "damaged or cut short",
        "dot.png": "only 1 x 1 px",
        "nobody.png": "no person found",
        "transparent.png": "no person found",
        "huge.png": "more than 200 megapixels",
    }


def test_bad_photos(run: Run, tmp_path: Path) -> None:
    for name, message in bad_photos(photos(tmp_path)).items():
        assert_one_clear_line(run(photos(tmp_path) / name, "-o", "mesh.obj"), message)
        assert files() == []


def test_unusual_photos_work(run: Run, tmp_path: Path) -> None:
    """CMYK, 16 bit, animation, grey, palette, 20 000 px wide: a person before one colour, in each."""
    person, mask = draw_person()
    plain = Image.fromarray(np.where(mask[..., None], person, 250).astype(np.uint8))
    folder = photos(tmp_path)
    plain.convert("CMYK").save(folder / "cmyk.tif")
    Image.fromarray(np.asarray(plain.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    plain.convert("L").save(folder / "grey.png")
    plain.quantize(64).save(folder / "palette.png")
    plain.save(folder / "moving.webp", save_all=True, append_images=[Image.new("RGB", plain.size)], lossless=True)
    wide = Image.new("RGB", (20_000, 1600), (250, 250, 250))
    wide.paste(plain.resize((1200, 1600)), (9000, 0))
    wide.save(folder / "wide.png")
    for path in sorted(folder.iterdir()):
        result = run(path, "-o", f"{path.stem}.ply", "--no-preview")
        assert result.exit_code == 0, f"{path.name}: {result.output}"
    assert len(files()) == 12


def test_bad_masks(run: Run, tmp_path: Path) -> None:
    folder = photos(tmp_path)
    Image.fromarray(wall_photo()[0]).save(folder / "photo.png")
    Image.new("L", (300, 400), 0).save(folder / "empty.png")
    Image.new("L", (300, 400), 255).save(folder / "full.png")
    Image.new("L", (400, 400), 0).save(folder / "square.png")
    (folder / "text.png").write_text("x")
    cases = {"empty.png": "is empty", "full.png": "covers all", "square.png": "400 x 400", "text.png": "not an image", "none.png": "does not exist"}
    for name, message in cases.items():
        assert_one_clear_line(run(folder / "photo.png", "-o", "mesh.obj", "--mask", folder / name), message)
        assert files() == []


def test_bad_options(run: Run, tmp_path: Path) -> None:
    photo = save_rgba(photos(tmp_path) / "person.png")
    for options, message in (
        (["--person-box", "1,2,3"], "person box"),
        (["--person-box", "1,2,-3,5"], "width and a height"),
        (["--height", "172"], "--height 172.0: must be in metres, above 0.1 and below 10; did you mean 1.72?"),
        (["--height", "nan"], "must be in metres"),
        (["--person-box", "inf,0,1,1"], "person box"),
        (["--person", "0"], "--person 0: must be largest, all, or a number from 1 on"),
        (["--save-mask", "mask.bmp"], "PNG"),
    ):
        assert_one_clear_line(run(photo, "-o", "mesh.obj", *options), message)
        assert files() == []


def test_outputs_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    photo = save_rgba(photos(tmp_path) / "person.png")
    (tmp_path / "a file").touch()
    Path("taken.obj").mkdir()
    cases = {
        "mesh.fbx": "unknown mesh format '.fbx'",
        ".obj": "unknown mesh format '(no extension)'",
        str(tmp_path / "a file" / "mesh.obj"): "cannot write",
        "taken.obj": "is a folder",
    }
    for name, message in cases.items():
        assert_one_clear_line(run(photo, "-o", name), message)
        assert files() == []


def test_read_only_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = save_rgba(photos(tmp_path) / "person.png")

    def denied(**_: object) -> None:  # root may write everywhere, so the refusal is played
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    monkeypatch.setattr("ncpifu_cli.stages.reconstruct_files.prepare", lambda *_: pytest.fail("worked before it looked"))
    assert_one_clear_line(run(photo, "-o", "locked/mesh.obj"), "cannot write")
    assert files() == []


def test_bad_weights(run: Run, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.models.build import build
    from ncpifu_cli.models.checkpoint import save_weights

    photo = save_rgba(photos(tmp_path) / "person.png")
    good = tmp_path / "good.safetensors"
    config = load(TrainConfig, "tiny").model
    save_weights(good, build(config), config, {})
    broken = bytearray(good.read_bytes())
    (tmp_path / "cut.safetensors").write_bytes(broken[: len(broken) // 2])
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"a": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    other = load(TrainConfig, "tiny", ["model.width=24"]).model
    save_weights(tmp_path / "mismatch.safetensors", build(other), config, {})
    cases = {
        "cut.safetensors": "not a weights file",
        "text.safetensors": "not a weights file",
        "foreign.safetensors": "holds no",
        "mismatch.safetensors": "does not fit",
        "nowhere.safetensors": "no weights",
    }
    for name, message in cases.items():
        assert_one_clear_line(run(photo, "-o", "mesh.obj", "--weights", tmp_path / name), message)
        assert files() == []
    assert_one_clear_line(run(photo, "-o", "mesh.obj", "--weights", "gigantic"), "no weights named 'gigantic'")
    assert_one_clear_line(run(photo, "-o", "mesh.obj", "--weights", good, "--profile", "paper"), "profile 'tiny', not 'paper'")
    assert files() == []


def test_a_failure_at_the_end_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ncpifu_cli.stages import export

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_mesh", full_disk)
    photo = save_rgba(photos(tmp_path) / "person.png")
    assert_one_clear_line(run(photo, "-o", "mesh.obj"), "No space left")
    assert files() == []


def test_box_text() -> None:
    assert parse_box("1, 2.4,30,40") == (1, 2, 30, 40)
    with pytest.raises(NcpifuError, match="'a,b,c,d'") as caught:
        parse_box("a,b,c,d")
    assert "x,y,width,height" in caught.value.hint


def test_a_near_cameras_perspective_goes_unless_it_is_to_be_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InflatedOutline, "camera", (0.4, 0.0, 0.2))
    photo = save_rgba(tmp_path / "photos" / "person.png")
    kinds = []
    for options in ([], ["--keep-perspective"]):
        result = run(str(photo), "-o", "mesh.obj", "--resolution", "48", "--no-preview", "--no-detail", *options)
        assert result.exit_code == 0
        kinds.append(json.loads(Path("mesh.json").read_text())["camera"]["kind"])
    assert kinds == ["perspective", "orthographic"]


def test_a_mesh_without_its_perspective_has_texture_film_and_page(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xatlas")
    monkeypatch.setattr(InflatedOutline, "camera", (0.4, 0.0, 0.2))
    photo = save_rgba(tmp_path / "photos" / "person.png")
    result = run(str(photo), "-o", "mesh.glb", "--resolution", "48", "--texture", "--faces", "500", "--html", "--turntable", "gif", "--centre")
    assert result.exit_code == 0, result.output
    assert {path.name for path in Path().iterdir()} == {"mesh.glb", "mesh.json", "mesh.png", "mesh.html", "mesh.gif"}
    assert json.loads(Path("mesh.json").read_text())["camera"]["position_m"][2] > 1
