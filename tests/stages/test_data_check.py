import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from scan_fixtures import write_draco, write_thuman2
from typer.testing import CliRunner

from ncpifu_cli.cli.app import app
from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.data_check import check_renders
from ncpifu_cli.stages.render import render

SMALL = RenderSettings(yaw_step_deg=90, size_px=64, near_points=2000, prt_directions=16, renderer="raster", jobs=1)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check")
    for name in ("train-000001", "train-000002", "test-000003"):
        write_draco(folder / "scans" / f"{name}.drc")
    write_thuman2(folder / "thuman", "0007", up="z")
    render(folder / "scans", folder / "renders", SMALL)
    render(folder / "thuman", folder / "renders", SMALL)
    return folder / "renders"


@pytest.fixture
def renders(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "renders")


def test_a_good_folder(renders: Path) -> None:
    report = check_renders(renders)
    assert report.problems == {}
    assert (report.subjects, report.held_out, report.views, report.checked_views, report.sizes_px) == (4, 1, 16, 16, {64: 4})
    assert report.units == {"own": 1, "m": 3}
    assert report.heights["own"] == pytest.approx((0.95, 0.95, 0.95), abs=0.01)
    assert report.heights["m"] == pytest.approx((1.7, 1.7, 1.7), abs=0.01)
    assert report.near_inside is not None
    assert 0.2 < report.near_inside[0] <= report.near_inside[1] <= report.near_inside[2] < 0.6
    assert report.notes == {"up axis z detected (give --up to override)": 1}
    assert (report.leftovers, report.touching_border) == ([], {})


def test_each_defect_is_named(renders: Path) -> None:
    (renders / ".tmp-abc-train-000009").mkdir()
    first, second, third, fourth = (renders / name for name in ("train-000001", "train-000002", "test-000003", "0007"))
    (first / "mask" / "090.png").unlink()
    manifest = json.loads((second / "subject.json").read_text())
    for view, turned in zip(manifest["views"], (45, 135, 225, 315), strict=True):  # as with another axis or direction of rotation
        view["yaw_deg"] = turned
    (second / "subject.json").write_text(json.dumps(manifest))
    (third / "samples.npz").write_bytes((third / "samples.npz").read_bytes()[:500])
    mask = cv2.imread(str(fourth / "mask" / "000.png"), cv2.IMREAD_GRAYSCALE)
    mask[-1] = 255
    cv2.imwrite(str(fourth / "mask" / "000.png"), mask)
    (fourth / "rgb" / "090.jpg").write_bytes(b"nothing")
    report = check_renders(renders)
    assert report.leftovers == [".tmp-abc-train-000009"]
    assert report.touching_border == {"0007": 1}
    assert report.problems.keys() == {"train-000001", "train-000002", "test-000003", "0007"}
    assert report.problems["train-000001"] == ["1 of 12 files are missing: mask/090.png"]
    assert any("camera and labels disagree" in problem for problem in report.problems["train-000002"])
    assert "samples.npz" in report.problems["test-000003"][0]
    assert report.problems["0007"] == ["rgb/090.jpg is not a picture, or cut short"]


@pytest.mark.parametrize("kind", ["depth", "rgb"])
def test_pictures_that_are_cut_short_are_named_and_left_out_of_the_sheet(kind: str, renders: Path, tmp_path: Path) -> None:
    file = sorted((renders / "train-000001" / kind).iterdir())[0]
    file.write_bytes(file.read_bytes()[: -100 if kind == "rgb" else 0])
    assert [problem for problem in check_renders(renders).problems["train-000001"] if file.name in problem]
    result = CliRunner().invoke(app, ["data", "check", str(renders), "--sheet", str(tmp_path / "sheet.png")])
    assert result.exit_code == 3 and "PROBLEM train-000001" in result.stdout
    assert (tmp_path / "sheet.png").is_file()


def test_labels_of_a_surface_inside_out(renders: Path) -> None:
    path = renders / "train-000001" / "samples.npz"
    with np.load(path) as arrays:
        changed = {**arrays, "near_inside": ~arrays["near_inside"]}
    np.savez_compressed(path, **changed)
    (problem, *_) = check_renders(renders).problems["train-000001"]
    assert "wound outwards" in problem


def test_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="no complete subject"):
        check_renders(tmp_path)
    with pytest.raises(NcpifuError, match="is not a folder"):
        check_renders(tmp_path / "nowhere")


def test_the_command(renders: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", str(renders), "--quiet", "--sheet", str(tmp_path / "sheet.png")])
    assert result.exit_code == 0
    assert "4 subjects (1 held out), 16 views" in result.stdout
    assert "raw heights of 3 subjects in m, lowest / median / highest: 1.7 / 1.7 / 1.7" in result.stdout
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] == 4 * 192
    (renders / "0007" / "subject.json").write_text("{}")
    result = CliRunner().invoke(app, ["data", "check", str(renders), "--quiet", "--json", "--views", "1"])
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert (document["subjects"], document["checked_views"], list(document["problems"])) == (3, 3, ["0007"])
    assert "problems with 1 subject in" in result.stderr
