import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from scan_fixtures import write_buff, write_draco, write_thuman2
from typer.testing import CliRunner

from ncpifu_cli.cli.render import render_cli
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.data.depth import FULL_SCALE
from ncpifu_cli.data.samples import read_samples
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera, ndc_to_px
from ncpifu_cli.geometry.keypoints import KEYPOINTS, from_named, named
from ncpifu_cli.progress import Silent
from ncpifu_cli.stages.contact_sheet import spread_views, write_contact_sheet
from ncpifu_cli.stages.render import render

SMALL = {"yaw_step_deg": 90, "size_px": 64, "near_points": 800, "prt_directions": 16, "renderer": "raster", "jobs": 1}


def settings(**changes: Any) -> RenderSettings:
    return RenderSettings.model_validate({**SMALL, **changes})


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for name in ("train-000001", "train-000002"):
        write_draco(tmp_path / "scans" / name / "mesh.drc")
    return tmp_path / "scans"


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "subject.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_subject_is_laid_out_as_the_loader_expects(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "renders"
    report = render(scans, out, settings())
    assert (report.done, report.views, report.renderer) == (["train-000001", "train-000002"], 8, "raster")
    subject = manifest(out / "train-000001")
    assert (subject["format"], subject["version"], subject["size_px"]) == ("ncpifu-subject", 3, 64)
    assert set(subject["similarity"]) == {"scale", "rotation", "centre"}
    assert [view["yaw_deg"] for view in subject["views"]] == [0, 90, 180, 270]
    assert subject["views"][1]["rgb"] == "rgb/090.jpg"
    assert np.array(subject["views"][0]["light"]).shape == (9, 3)
    samples = read_samples(out / "train-000001" / "samples.npz")
    inside = samples.near[samples.near_inside]
    for view in subject["views"]:
        mask = cv2.imread(str(out / "train-000001" / view["mask"]), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(out / "train-000001" / view["rgb"]))
        assert set(np.unique(mask)) == {0, 255}
        assert image.shape == (64, 64, 3)
        assert image[cv2.dilate(mask, np.ones((19, 19))) == 0].max() < 12  # JPEG rings a little
        column, row = np.floor(ndc_to_px(Camera(view["yaw_deg"], view["pitch_deg"]).world_to_ndc(inside), 64)).astype(int).T
        assert (mask[row, column] > 0).mean() > 0.97
        depth = cv2.imread(str(out / "train-000001" / view["depth"]), cv2.IMREAD_UNCHANGED)
        assert depth.shape == (512, 128)
        assert depth.dtype == np.uint16
    assert not list(out.glob(".tmp-*"))


def test_equal_seeds_give_equal_files_whatever_the_number_of_processes(scans: Path, tmp_path: Path) -> None:
    render(scans, tmp_path / "a", settings())
    render(scans, tmp_path / "b", settings(jobs=2))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    render(scans, tmp_path / "c", settings(seed=1))
    assert contents(tmp_path / "a") != contents(tmp_path / "c")
    first, second = (manifest(tmp_path / "a" / name)["views"][0]["light"] for name in ("train-000001", "train-000002"))
    assert first != second  # each subject has its own light


def test_a_second_run_only_does_what_is_missing(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "renders"
    render(scans, out, settings())
    before = (out / "train-000001" / "subject.json").stat().st_mtime_ns
    (out / "train-000002" / "subject.json").unlink()  # as after kill -9: files, but not complete
    report = render(scans, out, settings())
    assert (report.done, report.skipped) == (["train-000002"], ["train-000001"])
    assert (out / "train-000001" / "subject.json").stat().st_mtime_ns == before
    assert render(scans, out, settings(jobs=3)).done == []  # how it is computed does not count
    assert render(scans, out, settings(light="sh", overwrite=True)).done == ["train-000001", "train-000002"]
    assert render(scans, out, settings(light="sh", overwrite=True)).done == []
    write_draco(scans / "train-000001" / "mesh.drc").write_bytes((scans / "train-000002" / "mesh.drc").read_bytes()[:-1] + b"\0")
    (out / "train-000002" / "subject.json").write_text("{broken")
    assert render(scans, out, settings(light="sh")).skipped == []  # another scan, a broken manifest: drawn anew unasked


def test_a_broken_scan_is_named_and_the_rest_goes_on(scans: Path, tmp_path: Path) -> None:
    (scans / "train-000000.drc").write_bytes(b"DRACO nonsense")
    report = render(scans, tmp_path / "renders", settings())
    assert report.done == ["train-000001", "train-000002"]
    assert list(report.failed) == ["train-000000"]
    assert "train-000000.drc" in report.failed["train-000000"]
    assert not (tmp_path / "renders" / "train-000000").exists()


def test_pitches_and_several_lights(scans: Path, tmp_path: Path) -> None:
    render(scans, tmp_path / "renders", settings(pitch_deg=(0, 20), lights_per_view=2, yaw_step_deg=180))
    views = manifest(tmp_path / "renders" / "train-000001")["views"]
    assert len(views) == 8
    assert len({view["rgb"] for view in views}) == 8
    assert len({view["mask"] for view in views}) == 4
    assert {view["pitch_deg"] for view in views} == {0.0, 20.0}
    assert views[0]["light"] != views[1]["light"]


def test_full_size_maps_on_request(scans: Path, tmp_path: Path) -> None:
    render(scans, tmp_path / "renders", settings(maps=("depth", "normal"), yaw_step_deg=180))
    folder = tmp_path / "renders" / "train-000001"
    front, back = manifest(folder)["views"]
    depths, normals = [], []
    for view in (front, back):
        mask = cv2.imread(str(folder / view["mask"]), cv2.IMREAD_UNCHANGED) > 0
        depth = cv2.imread(str(folder / view["depth_map"]), cv2.IMREAD_UNCHANGED)
        normal = cv2.imread(str(folder / view["normal_map"]))[..., ::-1].astype(float) / 127.5 - 1
        assert (depth.shape, depth.dtype) == (mask.shape, np.uint16)
        assert ((depth > 0) ^ mask).mean() < 0.02  # the mask counts sub-samples, the map looks at pixels' centres
        assert np.median(normal[depth > 0][:, 2]) > 0.5  # towards the camera
        depths.append((depth[32, 32] - 1) / FULL_SCALE * 2 - 1)
        normals.append(normal[32, 32])
    assert depths[0] == pytest.approx(0.2 / 1.7 * 1.8 / 1.024, abs=0.02)  # the body's radius before the axis, seen from both sides
    assert depths[1] == pytest.approx(depths[0], abs=0.02)
    assert "normal_map" not in json.dumps(manifest(_rendered(scans, tmp_path / "plain")))


def _rendered(scans: Path, out: Path) -> Path:
    render(scans, out, settings(yaw_step_deg=180))
    return out / "train-000001"


def test_what_only_says_how_does_not_change_a_subject(scans: Path, tmp_path: Path) -> None:
    plain = settings().decisive()
    assert settings(jobs=7, engine="ray", address="auto", renderer="auto", layout="pifu").decisive() == plain
    assert "maps" not in plain  # as in the manifests written before there were maps
    assert settings(maps=("depth",)).decisive() != plain


def test_a_split_list_chooses_subjects(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("# my list\ntrain-000002\ntrain-000003\n")
    listener = Listener()
    report = render(scans, tmp_path / "out", settings(yaw_step_deg=180, split=str(tmp_path / "mine.txt")), listener)
    assert (report.done, report.skipped) == (["train-000002"], [])
    assert "1 of the 2 subjects" in listener.warnings[0]
    with pytest.raises(NcpifuError, match="none of the 402 subjects of thuman2_train is in"):
        render(scans, tmp_path / "out", settings(split="thuman2_train"))


def test_kill_9_leaves_nothing_half_and_the_next_run_goes_on(scans: Path, tmp_path: Path) -> None:
    for number in range(3, 7):
        write_draco(scans / f"train-00000{number}" / "mesh.drc")
    out, quick = tmp_path / "out", [str(option) for option in (*QUICK, "--size", 256, "--points", 20_000)]
    command = [sys.executable, "-m", "ncpifu_cli", "render", str(scans), "-o", str(out), *quick, "--quiet"]
    process = subprocess.Popen(command)
    while process.poll() is None and not (list(out.glob("[!.]*/subject.json")) and list(out.glob(".tmp-*"))):  # one whole, one half
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = {path.parent.name for path in out.glob("[!.]*/subject.json")}
    assert whole == {path.name for path in out.glob("[!.]*")}  # whatever has a name is complete
    before = {name: contents(out / name) for name in whole}
    assert list(out.glob(".tmp-*"))
    assert subprocess.run(command, check=False).returncode == 0
    assert len(list(out.glob("[!.]*/subject.json"))) == 6
    assert all(contents(out / name) == files for name, files in before.items())
    subprocess.run([*command[:5], *["-o", str(tmp_path / "unbroken")], *command[7:]], check=True)
    assert contents(out) == contents(tmp_path / "unbroken")  # what the dead process left is gone too


class Listener(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_a_scan_without_its_picture_is_warned_of(tmp_path: Path) -> None:
    (write_thuman2(tmp_path / "thuman", "0007").parent / "material0.jpeg").write_bytes(b"not a picture")
    listener = Listener()
    report = render(tmp_path / "thuman", tmp_path / "out", settings(yaw_step_deg=180), listener)
    assert report.done == ["0007"]
    assert [w.split(" (")[0] for w in listener.warnings] == ["0007: texture not readable", "0007: no colour found: grey"]


def test_a_full_disk_stops_the_run(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ncpifu_cli.stages.render_subject.write_samples", full)
    with pytest.raises(NcpifuError, match="No space left") as caught:
        render(scans, tmp_path / "out", settings())
    assert "make room" in caught.value.hint
    assert list((tmp_path / "out").iterdir()) == []


def test_flat_light_and_baked_colours_are_the_albedo(tmp_path: Path) -> None:
    write_draco(tmp_path / "own" / "train-000001.drc")
    write_buff(tmp_path / "buff")
    render(tmp_path / "own", tmp_path / "renders", settings(light="flat"))
    render(tmp_path / "buff", tmp_path / "renders", settings())
    for subject in ("train-000001", "00032_shortlong_hips.000001"):
        image = cv2.imread(str(tmp_path / "renders" / subject / "rgb" / "000.jpg"))
        assert abs(image[32, 32].astype(int) - [40, 40, 220]).max() < 8  # BGR


def test_data_sets_as_downloaded(tmp_path: Path) -> None:
    write_thuman2(tmp_path / "thuman", "0007", up="z")
    report = render(tmp_path / "thuman", tmp_path / "renders", settings())
    assert report.done == ["0007"]
    assert any("up axis z" in note for note in report.notes["0007"])
    with pytest.raises(NcpifuError, match="not laid out as buff"):
        render(tmp_path / "thuman", tmp_path / "renders", settings(dataset="buff"))


def test_the_contact_sheet_shows_each_subject(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "renders"
    render(scans, out, settings())
    assert write_contact_sheet(out, tmp_path / "sheet.png", ["train-000001", "train-000002", "missing"], columns=4) == 2
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 192, 5 * 192, 3)
    assert all(sheet[:192, 192 * i : 192 * (i + 1)].max() > 150 for i in range(5))
    with pytest.raises(NcpifuError, match="no complete subject"):
        write_contact_sheet(out, tmp_path / "sheet.png", ["missing"])
    with pytest.raises(NcpifuError, match=r"sheet\.gif"):
        write_contact_sheet(out, tmp_path / "sheet.gif", ["train-000001"])


def test_the_sheet_looks_from_all_sides_though_there_are_pitches() -> None:
    views = [{"yaw_deg": float(yaw), "pitch_deg": pitch} for pitch in (0.0, 10.0, -10.0) for yaw in range(0, 360, 24)]
    assert [view["yaw_deg"] for view in spread_views(views, 5)] == [0, 72, 144, 216, 288]
    assert [view["yaw_deg"] for view in spread_views(views[:3], 8)] == [0, 24, 48]  # none twice


def run(*arguments: object) -> tuple[int, str, str]:
    app = typer.Typer()
    app.command()(render_cli)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


QUICK = ("--yaw-step", 180, "--size", 32, "--points", 400, "--directions", 16, "--renderer", "raster", "--jobs", 1)


def test_the_command_prints_json_and_its_exit_code_tells_of_broken_scans(scans: Path, tmp_path: Path) -> None:
    code, stdout, _ = run(scans, "-o", tmp_path / "out", *QUICK, "--json", "--quiet", "--sheet", tmp_path / "sheet.jpg")
    assert code == 0
    document = json.loads(stdout)
    assert (document["done"], document["views"], document["failed"]) == (["train-000001", "train-000002"], 4, {})
    assert (tmp_path / "sheet.jpg").is_file()
    (scans / "bad.drc").write_bytes(b"nothing")
    code, stdout, stderr = run(scans, "-o", tmp_path / "out", *QUICK, "--quiet")
    assert code == 3
    assert "2 already there" in stdout
    assert "1 of 3 scans were left out: bad" in stderr.replace("\n", " ")


def test_defaults_are_the_data_root(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCPIFU_DATA", str(tmp_path))
    assert run(*QUICK, "--quiet")[0] == 0
    assert (tmp_path / "renders" / "train-000001" / "subject.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pitch", "up"), "cannot read the pitches"),
        (("--yaw-step", 0), "--yaw-step 0: must be at least 1"),
        (("--pitch", "5,5"), "--pitch"),
        (("--pitch", "nan"), "between -90"),
        (("--pitch", "0.5", "--layout", "pifu"), "--layout pifu"),
        (("--yaw-step", 7), "does not divide 360"),
        (("--light", "disco"), "--light disco: must be 'prt', 'sh' or 'flat'"),
        (("--renderer", "blender"), "--renderer blender"),
        (("--dataset", "kitti"), "--dataset kitti"),
        (("--layout", "icon"), "--layout icon"),
        (("--maps", "depth,albedo"), "--maps albedo: must be 'depth' or 'normal'"),
        (("--engine", "dask"), "--engine dask"),
        (("--address", "auto"), "give --engine ray too"),
        (("--size", 2), "--size 2: must be at least 16"),
        (("--sheet", "sheet.gif"), "cannot write a contact sheet"),
    ],
)
def test_bad_options_are_one_line(scans: Path, tmp_path: Path, arguments: tuple[object, ...], message: str) -> None:
    code, _, stderr = run(scans, "-o", tmp_path / "out", *arguments)
    assert code == 1
    assert message in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_said_before_any_work(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, stderr = run(scans, "-o", tmp_path / "file" / "out", *QUICK)
    assert code == 1
    assert "cannot write" in stderr
    code, _, stderr = run(scans, "-o", tmp_path / "file", *QUICK)
    assert code == 1
    assert "is a file: the renders need a folder" in stderr.replace("\n", " ")


def test_where_every_scan_is_broken_a_sheet_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "bad.drc").write_bytes(b"nothing")
    code, stdout, stderr = run(tmp_path / "scans", "-o", tmp_path / "out", *QUICK, "--json", "--quiet", "--sheet", tmp_path / "sheet.png")
    assert code == 3
    assert list(json.loads(stdout)["failed"]) == ["bad"]
    assert "1 of 1 scans were left out" in stderr.replace("\n", " ")


def test_keypoints_that_synth_told_are_kept_in_the_normalised_frame(scans: Path, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform((-0.5, 0.4, -0.5), (0.5, 1.4, 0.5), (len(KEYPOINTS), 3))
    (scans / "train-000001" / "meta.json").write_text(json.dumps({"keypoints_m": named(points)}))
    (scans / "train-000002" / "meta.json").write_text("{}")
    render(scans, tmp_path / "renders", settings())
    told, silent = (manifest(tmp_path / "renders" / name) for name in ("train-000001", "train-000002"))
    similarity = told["similarity"]
    assert from_named(told["keypoints_m"]) == pytest.approx(similarity["scale"] * (points - similarity["centre"]), abs=1e-3)
    assert "keypoints_m" not in silent
    (scans / "train-000001" / "meta.json").write_text(json.dumps({"keypoints_m": {"left_hip": [0, 0, 0]}}))
    (scans / "train-000002" / "meta.json").write_text("[]")
    write_draco(scans / "train-000003.drc")
    (scans / "meta.json").write_text("[]")  # of something else: a bare mesh has none
    report = render(scans, tmp_path / "again", settings())
    assert report.done == ["train-000003"] and list(report.failed) == ["train-000001", "train-000002"]
    assert "not all keypoints" in report.failed["train-000001"] and "no attribute" in report.failed["train-000002"]
