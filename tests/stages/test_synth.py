"""The synth stage and command around a stand-in for the generator: what is written, kept, reported."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ncpifu_cli.cli.app import app
from ncpifu_cli.config.synth import GarmentWish, SynthConfig, Wishes
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Silent
from ncpifu_cli.stages import synth as stage
from ncpifu_cli.synth.streams import GENERATOR_VERSION


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tetrahedron for a human; number 13 fails a gate, 14 breaks."""
    import ncpifu_cli.synth.body
    import ncpifu_cli.synth.human
    from ncpifu_cli.synth.assemble import Mesh
    from ncpifu_cli.synth.gates import RejectedHuman

    def make(
        split: str, number: int, wishes: Wishes, face_budget: int | None = None, device: str = "cpu", cloth: str = "simulated"
    ) -> ncpifu_cli.synth.human.Human:
        name = f"{split}-{number:06d}"
        if number == 13:
            raise RejectedHuman(name, ["2.50 m tall"])
        if number == 14:
            raise ValueError("no such loop")
        vertices = np.array([[0, 0, 0], [0.5, 0, 0], [0, 1.7, 0], [0, 0, 0.5]], np.float32)
        mesh = Mesh(vertices, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32), np.full((4, 3), 99, np.uint8))
        meta = {
            "generator_version": GENERATOR_VERSION,
            "name": name,
            "outfit": [{"garment": "coat", "pattern": "plain"}],
            "pose": {"family": "stand"},
            "hair": "bob",
            "wishes": wishes.model_dump(mode="json", exclude_defaults=True),
            "cloth": cloth,
        }
        return ncpifu_cli.synth.human.Human(name, mesh, meta, {})

    monkeypatch.setattr(ncpifu_cli.synth.human, "make_human", make)
    monkeypatch.setattr(ncpifu_cli.synth.body, "load_body_model", lambda reporter=None: None)


def test_each_human_is_a_folder_with_mesh_and_meta(tmp_path: Path) -> None:
    result = stage.synth(SynthConfig(count=3, split="train", seed=5), tmp_path)
    assert result.made == ["train-000005", "train-000006", "train-000007"]
    assert sorted(p.name for p in tmp_path.iterdir()) == result.made
    meta = json.loads((tmp_path / "train-000005" / "meta.json").read_text())
    assert meta["name"] == "train-000005"
    from ncpifu_cli.synth.assemble import decode_draco

    assert len(decode_draco((tmp_path / "train-000005" / "mesh.drc").read_bytes()).faces) == 4


def test_humans_of_another_detail_are_made_anew_and_other_formats_stay(tmp_path: Path) -> None:
    stage.synth(SynthConfig(count=1, split="train"), tmp_path)
    assert stage.synth(SynthConfig(count=1, split="train", format="glb"), tmp_path).made == ["train-000001"]
    assert {path.name for path in (tmp_path / "train-000001").iterdir()} == {"mesh.drc", "mesh.glb", "meta.json"}
    assert stage.synth(SynthConfig(count=1, split="train"), tmp_path).kept == ["train-000001"]
    assert stage.synth(SynthConfig(count=1, split="train", detail="full"), tmp_path).made == ["train-000001"]
    assert {path.name for path in (tmp_path / "train-000001").iterdir()} == {"mesh.drc", "meta.json"}, "the other is of less detail"


def test_wishes_that_only_ood_shows_are_told(tmp_path: Path) -> None:
    told: list[str] = []

    class Told(Silent):
        def warn(self, message: str) -> None:
            told.append(message)

    wishes = Wishes(pose="kneel", outfit=("chinos", "polo"))
    stage.synth(SynthConfig(count=1, split="train"), tmp_path, reporter=Told(), wishes=wishes)
    assert len(told) == 1 and "kneel, polo" in told[0]
    stage.synth(SynthConfig(count=1, split="ood"), tmp_path, reporter=Told(), wishes=wishes)
    stage.synth(SynthConfig(count=1, split="train"), tmp_path, reporter=Told(), wishes=Wishes(pose="walk"))
    assert len(told) == 1


def test_humans_in_another_kind_of_cloth_are_made_anew(tmp_path: Path) -> None:
    stage.synth(SynthConfig(count=2, split="train"), tmp_path)
    assert stage.synth(SynthConfig(count=2, split="train"), tmp_path).made == []
    assert stage.synth(SynthConfig(count=2, split="train", cloth="skinned"), tmp_path).made == ["train-000001", "train-000002"]
    assert json.loads((tmp_path / "train-000001" / "meta.json").read_text())["cloth"] == "skinned"


def test_without_a_split_there_are_test_humans_too(tmp_path: Path) -> None:
    assert stage.synth(SynthConfig(count=4), tmp_path).made == [*(f"test-{n:06d}" for n in (1, 2)), *(f"train-{n:06d}" for n in (1, 2, 3, 4))]
    assert len(stage.planned(SynthConfig(count=200))) == 220


def test_finished_humans_are_kept_and_unfinished_made_again(tmp_path: Path) -> None:
    stage.synth(SynthConfig(count=3, split="train"), tmp_path)
    (tmp_path / "train-000002" / "meta.json").unlink()
    (tmp_path / "train-000003" / "meta.json").write_text(json.dumps({"generator_version": -1}))
    before = (tmp_path / "train-000001" / "mesh.drc").stat().st_mtime_ns
    result = stage.synth(SynthConfig(count=4, split="train"), tmp_path)
    assert result.kept == ["train-000001"]
    assert result.made == ["train-000002", "train-000003", "train-000004"]
    assert (tmp_path / "train-000001" / "mesh.drc").stat().st_mtime_ns == before


def test_a_human_whose_description_was_cut_short_is_made_again(tmp_path: Path) -> None:
    config = SynthConfig(split="train", count=1)
    (name,) = stage.synth(config, tmp_path).subjects
    for text in ("", "[]"):
        (tmp_path / name / "meta.json").write_text(text)
        assert stage.synth(config, tmp_path).made == [name]


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    code = "from ncpifu_cli.artifacts import temporary_prefix; print(temporary_prefix(), end='')"
    prefix = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    (tmp_path / f"{prefix}x-train-000001").mkdir()
    stage.synth(SynthConfig(count=1, split="train"), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["train-000001"]


def test_bad_seeds_are_named_and_skipped(tmp_path: Path) -> None:
    result = stage.synth(SynthConfig(count=4, split="train", seed=12), tmp_path)
    assert result.made == ["train-000012", "train-000015"]
    assert result.rejected == {"train-000013": "2.50 m tall"}
    assert result.failed == {"train-000014": "ValueError: no such loop"}
    assert not (tmp_path / "train-000013").exists()


def test_nothing_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="2.50 m tall"):
        stage.synth(SynthConfig(count=1, split="train", seed=13), tmp_path)


def test_seeds_end_somewhere(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="999999"):
        stage.synth(SynthConfig(count=2, seed=999_999, split="train"), tmp_path)


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "scans").write_text("not a folder")
    with pytest.raises(NcpifuError, match="scans"):
        stage.synth(SynthConfig(count=1), tmp_path / "scans")


def test_the_sheet_shows_them(tmp_path: Path) -> None:
    import cv2

    stage.synth(SynthConfig(count=2, split="train"), tmp_path / "scans", tmp_path / "sheet.png")
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture.shape[0] == 640
    assert picture.std() > 1


def test_a_sheet_that_cannot_be_written_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_run", lambda *_: pytest.fail("started to work"))
    (tmp_path / "file").touch()
    with pytest.raises(NcpifuError, match="file"):
        stage.synth(SynthConfig(count=1, split="train"), tmp_path / "scans", tmp_path / "file" / "sheet.png")


@pytest.mark.parametrize("kind", ["glb", "ply", "obj"])
def test_other_mesh_files_hold_the_same_and_scans_reads_them(kind: str, tmp_path: Path) -> None:
    from ncpifu_cli.data.scans import find_scans, read_scan

    config = SynthConfig(count=1, split="train", format=kind)
    stage.synth(config, tmp_path / "scans", tmp_path / "sheet.png")
    assert (tmp_path / "scans" / "train-000001" / f"mesh.{kind}").is_file()
    assert stage.synth(config, tmp_path / "scans").kept == ["train-000001"]
    assert stage.synth(SynthConfig(count=1, split="train"), tmp_path / "scans").made == ["train-000001"], "another format is another file"
    stage.synth(config, tmp_path / "scans")
    scan = read_scan(find_scans(tmp_path / "scans")[0])
    assert len(scan.faces) == 4
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_wishes_are_kept_apart(tmp_path: Path) -> None:
    walk = Wishes(pose="walk", outfit=("chinos", GarmentWish(garment="shirt", values={"sleeve": 0.5})))
    config = SynthConfig(count=1, split="train")
    assert stage.synth(config, tmp_path, wishes=walk).made
    assert stage.synth(config, tmp_path, wishes=walk).kept
    assert stage.synth(config, tmp_path).made, "the same seed without wishes is another human"


def _run_with(tmp_path: Path, text: str) -> tuple[int, str]:
    (tmp_path / "person.yaml").write_text(text)
    run = CliRunner().invoke(app, ["synth", "-o", str(tmp_path / "scans"), "--split", "train", "--count", "1", "--person", str(tmp_path / "person.yaml")])
    return run.exit_code, " ".join((run.output + (run.stderr if run.stderr_bytes else "")).split())


def test_a_person_from_yaml(tmp_path: Path) -> None:
    code, output = _run_with(tmp_path, "pose: {family: walk, lean: 5, left_arm: {upper: [1, 0, 0], lower: [0, -1, 0]}}\noutfit: [chinos, {garment: shirt}]\n")
    assert code == 0, output
    meta = json.loads((tmp_path / "scans" / "train-000001" / "meta.json").read_text())
    assert meta["wishes"]["pose"]["lean"] == 5
    assert meta["wishes"]["outfit"][0] == {"garment": "chinos"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("outfit: [toga]", ("toga", "jeans_slim")),
        ("outfit: [chinos, {garment: shirt, pattern: paisley}]", ("paisley", "plaid")),
        ("outfit: [chinos, {garment: shirt, values: {slevee: 1}}]", ("slevee", "sleeve")),
        ("outfit: [chinos, {garment: shirt, values: {sleeve: 7}}]", ("sleeve", "0.0 .. 1.05")),
        ("outfit: [chinos, {garment: shirt, values: {sleeve: long}}]", ("sleeve", "long")),
        ("outfit: [chinos, {garment: shirt, values: {details: [wings]}}]", ("wings", "placket")),
        ("outfit: [chinos]", ("bare",)),
        ("pose: moonwalk", ("moonwalk", "walk")),
        ("pose: {family: walk, lean: 400}", ("lean",)),
        ("pose: {left_arm: {upper: [0, 0, 0], lower: [1, 0, 0]}}", ("left_arm", "direction")),
        ("hair: mullet", ("mullet", "ponytail")),
        ("shoes: clogs", ("clogs", "sneaker")),
        ("props: [sword]", ("sword", "glasses")),
        ("expression: bored", ("bored", "smile")),
        ("body: {charm: 1}", ("charm", "weight")),
        ("body: {age: 30}", ("age", "0 .. 1")),
        ("outfits: [chinos]", ("outfits", "outfit")),
        ("outfit: [", ("YAML",)),
    ],
)
def test_a_wish_that_cannot_be_is_one_line(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    code, output = _run_with(tmp_path, text)
    assert code != 0
    assert "Traceback" not in output
    assert all(word in output for word in words), output
    assert not (tmp_path / "scans").exists()


def test_the_command_prints_its_result(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["synth", "-o", str(tmp_path), "--split", "train", "--count", "2", "--quiet", "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["made"] == ["train-000001", "train-000002"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--split", "valid"],
        ["--count", "0"],
        ["--seed", "-1"],
        ["--jobs", "-1"],
        ["--engine", "dask"],
        ["--device", "tpu"],
        ["--detail", "huge"],
        ["--format", "stl"],
        ["--person", "no-such.yaml"],
    ],
)
def test_bad_options_are_one_line(arguments: list[str], tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["synth", "-o", str(tmp_path / "scans"), *arguments])
    assert run.exit_code != 0
    assert "Traceback" not in run.output
    assert not (tmp_path / "scans").exists()


def test_cuda_where_there_is_none_is_one_line(tmp_path: Path) -> None:
    import warp

    if not warp.is_cuda_available():
        with pytest.raises(NcpifuError, match="CUDA"):
            stage.synth(SynthConfig(count=1, device="cuda"), tmp_path)


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NcpifuError, match="No space left") as caught:
        stage.synth(SynthConfig(count=1, split="train"), tmp_path)
    assert "disk full" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
