"""`evaluate` from scans on disk to the report, with networks whose answer is known."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import DracoPy
import numpy as np
import pytest
import trimesh
import typer
from typer.testing import CliRunner

from ncpifu_cli.artifacts import read_json, write_json
from ncpifu_cli.cli.eval import eval_cli
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, rotation_y
from ncpifu_cli.geometry.extract import EmptySurface
from ncpifu_cli.geometry.protocols import COLUMNS
from ncpifu_cli.progress import Silent
from ncpifu_cli.stages import detail, eval_score, reconstruct
from ncpifu_cli.stages import eval as eval_stage
from ncpifu_cli.stages.engine import DIED
from ncpifu_cli.stages.eval import evaluate
from ncpifu_cli.stages.eval_inputs import find_subjects, input_path, read_input, read_split
from ncpifu_cli.stages.eval_methods import item_name
from ncpifu_cli.stages.eval_score import FAILED_DISTANCE_CM

FAST = {"samples": 3000, "volume_points": 20_000, "normal_size_px": 64, "figure_rows": 0, "resolution": 32}
Answer = Callable[[], trimesh.Trimesh]


def figure_of_spheres() -> trimesh.Trimesh:
    """Head, trunk and one arm stretched to the side and one to the front: no two views are alike."""
    parts = [((0, 1.6, 0), (0.15, 0.2, 0.15)), ((0, 0.75, 0), (0.2, 0.75, 0.12)), ((0.4, 1.2, 0), (0.35, 0.06, 0.06)), ((-0.1, 1.1, 0.3), (0.06, 0.06, 0.3))]
    meshes = []
    for centre, radii in parts:
        mesh = trimesh.creation.icosphere(subdivisions=3)
        mesh.apply_scale(radii)
        mesh.apply_translation(centre)
        meshes.append(mesh)
    return trimesh.util.concatenate(meshes)


def write_scan(folder: Path, name: str, shade: int = 200) -> Path:
    mesh = figure_of_spheres()
    path = folder / name / "mesh.drc"
    path.parent.mkdir(parents=True)
    colours = np.full((len(mesh.vertices), 3), shade, np.uint8)
    path.write_bytes(DracoPy.encode(np.asarray(mesh.vertices), np.asarray(mesh.faces, np.uint32), colors=colours, quantization_bits=14))
    return path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    for index in range(3):
        write_scan(folder, f"test-{index:06d}", 120 + 40 * index)
    write_scan(folder, "train-000000")
    return folder


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> trimesh.Trimesh:
    """The scans' mesh in normalised metres."""
    scan = read_scan(find_scans(write_scan(tmp_path_factory.mktemp("truth"), "one").parent.parent, "synthetic")[0])
    return trimesh.Trimesh(scan.vertices, scan.faces, process=False)


class FakeNetworks:
    """Stands in for `stages.reconstruct`: every weights file answers with the mesh registered under its name."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers, self.calls = folder, {}, []

    def add(self, name: str, answer: Answer) -> str:
        path = self.folder / f"{name}.safetensors"
        path.write_text(name)
        self.answers[name] = answer
        return str(path)

    def load_model(self, weights: str, device: str) -> Any:
        return SimpleNamespace(name=Path(weights).stem, config=SimpleNamespace(image_size_px=32))

    def reconstruct_view(self, model: Any, image: np.ndarray, mask: np.ndarray, resolution: int) -> trimesh.Trimesh:
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        assert mask.shape == (32, 32)
        assert mask.any()
        self.calls.append(model.name)
        return self.answers[model.name]()


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNetworks:
    fake = FakeNetworks(tmp_path)
    monkeypatch.setattr(reconstruct, "load_model", fake.load_model)
    monkeypatch.setattr(reconstruct, "reconstruct_view", fake.reconstruct_view)
    return fake


def settings(tmp_path: Path, scans: Path, **more: Any) -> EvalConfig:
    return EvalConfig(**{**FAST, "data": str(scans), "output": str(tmp_path / "report"), **more})


def shifted(mesh: trimesh.Trimesh, metres: float) -> trimesh.Trimesh:
    return trimesh.Trimesh(np.asarray(mesh.vertices) + np.array([0, 0, metres]), mesh.faces, process=False)


def test_two_networks_end_to_end(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    weights = (networks.add("perfect", lambda: truth), networks.add("off", lambda: shifted(truth, 0.03)))
    report = evaluate(settings(tmp_path, scans, weights=weights, figure_rows=2))
    assert report.subjects == ["test-000000", "test-000001", "test-000002"]  # never train-
    perfect, off = report.summary("perfect"), report.summary("off")
    assert perfect["chamfer_cm"].mean < 0.05
    assert perfect["iou"].mean > 0.99
    assert perfect["normal_4_views"].mean < 0.01
    assert 0.5 < off["chamfer_cm"].mean < 3
    assert off["silhouette_iou"].mean > 0.95  # a shift in depth does not show from the front
    difference = report.difference("off")
    assert difference["chamfer_cm"].low > 0
    assert difference["iou"].high < 0
    folder = tmp_path / "report"
    with open(folder / "per_subject.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 6
    document = json.loads((folder / "report.json").read_text())
    assert [method["name"] for method in document["methods"]] == ["perfect", "off"]
    assert document["methods"][1]["difference_to_first"]["chamfer_cm"]["mean"] == pytest.approx(difference["chamfer_cm"].mean)
    text = (folder / "report.md").read_text()
    assert "| perfect |" in text
    assert "worse" in text
    assert (folder / "figure.png").stat().st_size > 5000
    assert (folder / "curves.pdf").read_bytes().startswith(b"%PDF")
    assert read_split(str(folder / "subjects.txt")) == report.subjects
    webpage = (folder / "report.html").read_text()
    assert webpage.count('src="data:image/png;base64,') == 2
    assert "http" not in webpage  # nothing is fetched
    assert "report: " + str(folder / "report.html") in report.lines()


def test_detail_is_added_to_the_meshes_of_the_bare_network(
    tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []

    def nearer(
        weights: Path, vertices: np.ndarray, faces: np.ndarray, image: np.ndarray, coverage: np.ndarray, device: object, back_weights: Path | None
    ) -> tuple[np.ndarray, np.ndarray]:
        asked.append(image.shape)
        return vertices - np.array([0, 0, 0.02 / HALF_EXTENT_M]), faces

    monkeypatch.setattr(detail, "add_detail", nearer)
    weights = tmp_path / "normals"
    weights.write_text("one")
    monkeypatch.setenv("NCPIFU_NORMALS", str(weights))
    config = settings(tmp_path, scans, weights=(networks.add("net", lambda: shifted(truth, 0.02)),), limit=1, detail=True)
    report = evaluate(config)
    assert [method.name for method in report.methods] == ["net", "net+detail"]
    assert networks.calls == ["net"]  # asked once
    assert asked == [(1024, 1024, 3)]
    assert report.summary("net+detail")["chamfer_cm"].mean < 0.05 < report.summary("net")["chamfer_cm"].mean
    weights.write_text("another")
    with pytest.raises(NcpifuError, match="made with other weights"):
        evaluate(config)
    monkeypatch.setenv("NCPIFU_NORMALS", "none")
    with pytest.raises(NcpifuError, match="not installed"):
        evaluate(config)


def test_a_failed_bare_mesh_fails_with_detail_too(tmp_path: Path, scans: Path, networks: FakeNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> trimesh.Trimesh:
        raise EmptySurface("nobody there")

    (tmp_path / "normals").write_text("one")
    monkeypatch.setenv("NCPIFU_NORMALS", str(tmp_path / "normals"))
    report = evaluate(settings(tmp_path, scans, weights=(networks.add("net", nothing),), limit=1, detail=True))
    assert [row["status"] for row in report.rows] == ["failed", "failed"]
    assert report.of("net+detail")[0]["note"] == "nobody there"


def test_what_is_scored_is_not_measured_again(
    tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tmp_path, scans, weights=(networks.add("net", lambda: shifted(truth, 0.01)),))
    first = evaluate(config)
    measured: list[str] = []
    true_measure = eval_score._measure
    monkeypatch.setattr(eval_score, "_measure", lambda task, scan, items: measured.append(task.source.name) or true_measure(task, scan, items))
    assert evaluate(config).rows == first.rows
    assert measured == []
    shifted(truth, 0.02).export(tmp_path / "report" / "predictions" / "net" / "test-000001_000.ply")
    again = evaluate(config)
    assert measured == ["test-000001"]  # another mesh, another score
    assert again.rows[1]["chamfer_cm"] > first.rows[1]["chamfer_cm"]
    evaluate(config.model_copy(update={"f_score_cm": 2.0}))
    assert len(measured) == 4  # other settings, other scores
    assert evaluate(config).rows == again.rows
    assert len(measured) == 4
    (tmp_path / "report" / "scores" / "test-000001.json").write_text("")  # cut short by a power failure
    assert evaluate(config).rows == again.rows
    assert len(measured) == 5


def test_finished_predictions_are_kept_and_scores_repeat(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    config = settings(tmp_path, scans, weights=(networks.add("net", lambda: shifted(truth, 0.01)),))
    first = evaluate(config)
    assert networks.calls == ["net"] * 3
    (tmp_path / "report" / "predictions" / "net" / "test-000001_000.ply").unlink()
    again = evaluate(config)
    assert networks.calls == ["net"] * 4
    assert again.rows == first.rows


def test_scores_do_not_depend_on_which_others_are_evaluated(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    weights = (networks.add("net", lambda: shifted(truth, 0.01)),)
    one = evaluate(settings(tmp_path, scans, weights=weights, limit=1))
    all_of_them = evaluate(settings(tmp_path, scans, weights=weights))
    assert one.rows == [row for row in all_of_them.rows if row["subject"] == "test-000000"]


def test_a_report_tells_whom_it_no_longer_has(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    class Listener(Silent):
        told: ClassVar[list[str]] = []

        def warn(self, message: str) -> None:
            self.told.append(message)

    first, second = networks.add("first", lambda: truth), networks.add("second", lambda: truth)
    evaluate(settings(tmp_path, scans, weights=(first,)))
    evaluate(settings(tmp_path, scans, weights=(first, second)), Listener())
    assert Listener.told == []
    evaluate(settings(tmp_path, scans, weights=(second,)), Listener())
    assert Listener.told[0].startswith(f"the report in {tmp_path / 'report'} no longer has first")


def test_stale_mixes_are_refused(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    weights = networks.add("net", lambda: truth)
    evaluate(settings(tmp_path, scans, weights=(weights,)))
    with pytest.raises(NcpifuError, match="resolution 32, not 64"):
        evaluate(settings(tmp_path, scans, weights=(weights,), resolution=64))
    with pytest.raises(NcpifuError, match="seed 0, not 1"):
        evaluate(settings(tmp_path, scans, weights=(weights,), seed=1))
    state = read_json(tmp_path / "report" / "state.json")
    write_json(tmp_path / "report" / "state.json", state | {"methods": {"net": {**state["methods"]["net"], "surface": 1}}})
    with pytest.raises(NcpifuError, match="'net' made with another version of ncpifu"):
        evaluate(settings(tmp_path, scans, weights=(weights,)))
    write_json(tmp_path / "report" / "state.json", state)
    Path(weights).write_text("trained on")
    with pytest.raises(NcpifuError, match="'net' made with other weights"):
        evaluate(settings(tmp_path, scans, weights=(weights,)))
    evaluate(settings(tmp_path, scans, weights=(f"later={weights}",), limit=2))
    (scans / "test-000001" / "mesh.drc").unlink()
    (scans / "test-000001").rmdir()
    write_scan(scans, "test-000001", 33)
    with pytest.raises(NcpifuError, match="another test-000001"):
        evaluate(settings(tmp_path, scans, weights=(f"later={weights}",)))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, scans: Path, networks: FakeNetworks) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.tex").write_text("precious")
    with pytest.raises(NcpifuError, match="was not written by"):
        evaluate(settings(tmp_path, scans, weights=(networks.add("net", trimesh.Trimesh),)))


def test_an_empty_surface_counts_with_the_defined_score(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    def nothing() -> trimesh.Trimesh:
        raise EmptySurface("the network sees no body")

    report = evaluate(settings(tmp_path, scans, weights=(networks.add("blind", nothing), networks.add("good", lambda: truth)), figure_rows=1))
    rows = report.of("blind")
    assert [row["status"] for row in rows] == ["failed"] * 3
    assert {row["note"] for row in rows} == {"the network sees no body"}
    assert all(row["chamfer_cm"] == FAILED_DISTANCE_CM and row["iou"] == 0 for row in rows)
    assert all(row["normal_input"] > 0.05 for row in rows)
    assert report.summary("good")["iou"].mean > 0.99
    evaluate(settings(tmp_path, scans, weights=(networks.add("blind", nothing),)))
    assert networks.calls.count("blind") == 3  # a failure is a result: it is not tried again


def test_meshes_of_another_system(tmp_path: Path, scans: Path, truth: trimesh.Trimesh) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    truth.export(folder / "test-000000_000.ply")
    (folder / "test-000001.obj").write_text("v 0 0 0\n")
    truth.copy().apply_scale(100).export(folder / "test-000002.obj")
    report = evaluate(settings(tmp_path, scans, predictions=(f"theirs={folder}",)))
    good, broken, large = report.of("theirs")
    assert good["chamfer_cm"] < 0.05
    assert (good["components"], good["watertight"]) == (4, True)
    assert broken["status"] == "failed"
    assert large["status"] == "ok"
    assert large["note"] == "100 times as large as the truth: probably cm, give --units cm"
    assert "100 times as large" in (tmp_path / "report" / "report.md").read_text()
    (folder / "test-000000_000.ply").unlink()
    assert "no mesh called test-000000_000" in evaluate(settings(tmp_path, scans, predictions=(f"theirs={folder}",))).of("theirs")[0]["note"]


def test_names_units_and_frames_of_other_systems(tmp_path: Path, scans: Path, truth: trimesh.Trimesh) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    one = find_scans(scans, "synthetic")[0]
    raw = read_scan(one).similarity.invert(np.asarray(truth.vertices))
    for name, vertices in {"cm": truth.vertices * 100, "ndc": truth.vertices / 1.024, "odd": truth.vertices / 0.3, "scan": raw}.items():
        trimesh.Trimesh(vertices, truth.faces, process=False).export(folder / f"{name}_of_{one.name}_0_00.obj")
    predictions = tuple(f"{name}={folder}/{name}_of_{{subject}}_{{yaw}}_*.obj" for name in ("cm", "ndc", "odd", "scan"))
    report = evaluate(settings(tmp_path, scans, predictions=predictions, units=("cm", "ndc=ndc", "odd=0.3", "scan=scan"), limit=1))
    assert [row["method"] for row in report.rows] == ["cm", "ndc", "odd", "scan"]
    assert all(row["chamfer_cm"] < 0.05 and row["note"] == "" for row in report.rows)
    trimesh.Trimesh(truth.vertices, truth.faces).export(folder / f"cm_of_{one.name}_0_01.obj")
    with pytest.raises(NcpifuError, match="two meshes: cm_of"):
        evaluate(settings(tmp_path, scans, predictions=predictions[:1], units=("cm",), limit=1))
    for bad, message in (({"units": ("miles",)}, "unknown unit"), ({"units": ("nobody=cm",)}, "no --predictions are called 'nobody'")):
        with pytest.raises(NcpifuError, match=message):
            evaluate(settings(tmp_path, scans, predictions=predictions[:1], **bad))
    with pytest.raises(NcpifuError, match="cannot read the pattern"):
        evaluate(settings(tmp_path, scans, predictions=(f"cm={folder}/{{person}}.obj",)))
    with pytest.raises(NcpifuError, match="not one of the 3 meshes is there") as caught:
        evaluate(settings(tmp_path, scans, predictions=(f"cm={folder}",)))
    assert "{subject}" in caught.value.hint


def test_alignment_forgives_place_and_size(tmp_path: Path, scans: Path, truth: trimesh.Trimesh) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    moved = trimesh.Trimesh(np.asarray(truth.vertices) @ rotation_y(5).T * 0.4 + [1.5, 0, 0.1], truth.faces, process=False)
    moved.export(folder / "test-000000.ply")
    rows = {}
    for align in ("none", "icp", "similarity"):
        rows[align] = evaluate(settings(tmp_path, scans, predictions=(f"theirs={folder}",), align=align, limit=1)).rows[0]
    assert rows["similarity"]["chamfer_cm"] < 0.5 < 5 < rows["icp"]["chamfer_cm"] < rows["none"]["chamfer_cm"]
    assert rows["similarity"]["aligned"].startswith("similarity: scaled by 2.")
    assert "another frame?" in rows["none"]["note"]
    sith = evaluate(settings(tmp_path, scans, predictions=(f"theirs={folder}",), protocol="sith", limit=1)).rows[0]
    assert sith["chamfer"] < 30 < rows["none"]["chamfer_cm"]  # the protocol's own choice
    assert sith["chamfer_cm"] == rows["none"]["chamfer_cm"]  # which is not that of the other metrics


def test_protocols_change_three_numbers_and_nothing_else(tmp_path: Path, scans: Path, truth: trimesh.Trimesh) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    floater = trimesh.creation.icosphere(subdivisions=2, radius=0.15)
    floater.apply_translation([0.9, 0.8, 0])
    whole = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    trimesh.util.concatenate([whole, floater]).export(folder / "test-000000.ply")
    config = settings(tmp_path, scans, predictions=(f"theirs={folder}",), limit=1)
    paper, icon, econ, sith = (evaluate(config.model_copy(update={"protocol": name})).rows[0] for name in ("paper", "icon", "econ", "sith"))
    assert paper["chamfer"] == paper["chamfer_cm"]
    assert paper["p2s"] == paper["p2s_vertices_cm"]
    assert paper["normal"] == paper["normal_input"]
    assert econ["normal"] == paper["normal_4_views_grey"]
    assert econ["chamfer"] == pytest.approx(econ["chamfer_cm"] / 1.024, rel=0.03)  # of 1000 samples
    assert icon["p2s"] == pytest.approx(icon["truth_to_prediction_cm"] / 1.024, rel=0.05)
    assert icon["chamfer"] < econ["chamfer"]  # without the floater
    shared = set(eval_score.METRICS) | {"watertight", "components"}
    assert {key: sith[key] for key in shared} == {key: icon[key] for key in shared} == {key: paper[key] for key in shared}
    every = evaluate(config.model_copy(update={"protocol": "all"})).rows[0]
    assert every["chamfer"] == paper["chamfer"]
    for name, alone in {"icon": icon, "econ": econ, "sith": sith}.items():
        assert [every[f"{name}_{key}"] for key in COLUMNS] == [alone[key] for key in COLUMNS]
    text = (tmp_path / "report" / "report.md").read_text()
    assert "1/100 half image" in text
    assert "| `sith` | " in text
    with open(tmp_path / "report" / "per_subject.csv", encoding="utf-8") as file:
        assert float(next(csv.DictReader(file))["icon_p2s"]) == every["icon_p2s"]


def test_meshes_that_are_not_finite_or_not_readable_count_as_failed(tmp_path: Path, scans: Path, truth: trimesh.Trimesh) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    vertices = np.array(truth.vertices)
    vertices[7] = np.nan
    trimesh.Trimesh(vertices, truth.faces, process=False).export(folder / "test-000000.ply")
    (folder / "test-000001.glb").write_bytes(b"glTF no")
    (folder / "test-000002.obj").write_text("")
    report = evaluate(settings(tmp_path, scans, predictions=(f"theirs={folder}",), figure_rows=2))
    assert [row["status"] for row in report.rows] == ["failed"] * 3
    assert report.rows[0]["note"] == "vertices that are not finite"
    assert report.summary("theirs")["chamfer_cm"].mean == FAILED_DISTANCE_CM
    assert "`theirs` failed on test-000001" in (tmp_path / "report" / "report.md").read_text()


def test_the_truth_turns_with_the_view(tmp_path: Path, scans: Path, truth: trimesh.Trimesh) -> None:
    folder = tmp_path / "turned"
    folder.mkdir()
    for yaw in (0.0, 90.0):
        turned = trimesh.Trimesh(np.asarray(truth.vertices) @ rotation_y(yaw).T, truth.faces, process=False)
        turned.export(folder / f"{item_name('test-000000', yaw)}.ply")
    report = evaluate(settings(tmp_path, scans, predictions=(f"turned={folder}",), views=(0, 90), limit=1))
    assert [row["view_deg"] for row in report.rows] == [0, 90]
    assert all(row["chamfer_cm"] < 0.05 and row["silhouette_iou"] > 0.98 for row in report.rows)
    assert report.summary("turned")["iou"].count == 1  # two views of one subject are one observation


def test_a_scan_that_cannot_be_read_is_named(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    (scans / "test-000001" / "mesh.drc").write_bytes(b"not draco")
    report = evaluate(settings(tmp_path, scans, weights=(networks.add("net", lambda: truth),)))
    assert report.subjects == ["test-000000", "test-000002"]
    assert list(report.unscored) == ["test-000001"]
    assert "test-000001" in (tmp_path / "report" / "report.md").read_text()


def test_photos_are_seeded_and_show_the_subject(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    pictures = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        evaluate(settings(tmp_path, scans, weights=(networks.add("net", lambda: truth),), output=str(tmp_path / name), seed=seed, limit=1))
        pictures.append(read_input(input_path(tmp_path / name, 32, "test-000000", 0)))
    (image, mask), (same, _), (other, _) = pictures
    assert image[~mask].max() == 0
    assert image[mask].mean() > 20
    assert 0.02 < mask.mean() < 0.5
    np.testing.assert_array_equal(image, same)
    assert np.abs(image.astype(int) - other).mean() > 0.1


def test_processes_change_nothing(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("theirs")
    folder.mkdir()
    for index in range(3):
        shifted(truth, 0.01 * index).export(folder / f"test-{index:06d}.ply")
    config = settings(tmp_path, scans, predictions=(f"theirs={folder}",))
    one = evaluate(config)
    two = evaluate(config.model_copy(update={"jobs": 2, "output": "two", "data": "scans"}))
    assert one.rows == two.rows


def test_any_engine_scores(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine ends tasks in its own order, elsewhere, and some of them never."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for index in range(3):
        truth.export(folder / f"test-{index:06d}.ply")

    def engine(work: Any, items: Any, config: EvalConfig, isolate: bool) -> Any:
        assert (config.engine, config.address, isolate) == ("ray", "auto", False)
        first, second, third = items
        assert first.store.is_absolute()
        assert first.source.path.is_absolute()
        assert all(mesh.path.is_absolute() for mesh in first.meshes.values())
        yield third, work(third)
        yield second, DIED
        yield first, work(first)

    monkeypatch.setattr(eval_stage, "run_tasks", engine)
    report = evaluate(settings(tmp_path, scans, predictions=(f"theirs={folder}",), engine="ray", address="auto"))
    assert report.subjects == ["test-000000", "test-000002"]
    assert "its process died: out of memory?" in report.unscored["test-000001"]


def test_a_true_network_with_random_weights(tmp_path: Path, scans: Path) -> None:
    import torch

    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.models.build import build
    from ncpifu_cli.models.checkpoint import save_weights

    torch.manual_seed(0)
    config = load(TrainConfig, "tiny").model
    save_weights(tmp_path / "tiny.safetensors", build(config), config, {"steps": 0})
    report = evaluate(settings(tmp_path, scans, weights=(str(tmp_path / "tiny.safetensors"),), limit=1))
    assert report.methods[0].name == "tiny"
    assert report.rows[0]["status"] in ("ok", "failed")
    assert np.isfinite(report.rows[0]["chamfer_cm"])


@pytest.mark.parametrize(
    ("dataset", "hint"), [("synthetic", "ncpifu synth"), ("thuman2", "0000/0000.obj"), ("buff", "sequences/00005"), ("folder", "<subject>.obj")]
)
def test_missing_data_says_what_was_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, networks: FakeNetworks, dataset: str, hint: str) -> None:
    monkeypatch.setenv("NCPIFU_DATA", str(tmp_path / "nothing"))
    with pytest.raises(NcpifuError) as caught:
        evaluate(EvalConfig(dataset=dataset, weights=(networks.add("net", trimesh.Trimesh),)))
    assert hint in caught.value.hint
    if dataset != "folder":
        assert str(tmp_path / "nothing") in caught.value.message
    assert not (tmp_path / "nothing").exists()


def test_scans_without_held_out_subjects_are_refused(tmp_path: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    write_scan(tmp_path / "only_train", "train-000000")
    weights = (networks.add("net", lambda: truth),)
    with pytest.raises(NcpifuError, match=r"called test-\*"):
        evaluate(settings(tmp_path, tmp_path / "only_train", weights=weights))
    assert evaluate(settings(tmp_path, tmp_path / "only_train", weights=weights, split="all")).subjects == ["train-000000"]


def test_method_names(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    (tmp_path / "runs" / "pifu").mkdir(parents=True)
    (tmp_path / "runs" / "pifu" / "last.safetensors").write_text("last")
    networks.answers["last"] = lambda: truth
    net = networks.add("net", lambda: truth)
    report = evaluate(settings(tmp_path, scans, weights=(f"ours={net}", str(tmp_path / "runs" / "pifu" / "last.safetensors")), limit=1))
    assert [method.name for method in report.methods] == ["ours", "pifu"]
    with pytest.raises(NcpifuError, match="two methods"):
        evaluate(settings(tmp_path, scans, weights=(net, net)))
    with pytest.raises(NcpifuError, match="no weights"):
        evaluate(settings(tmp_path, scans, weights=(str(tmp_path / "absent.safetensors"),)))
    with pytest.raises(NcpifuError, match="not a folder"):
        evaluate(settings(tmp_path, scans, predictions=("x=/absent",)))


def test_shipped_thuman_lists_have_the_papers_sizes(tmp_path: Path) -> None:
    train, test = read_split("thuman2_train"), read_split("thuman2_test")
    assert (len(train), len(test)) == (402, 122)
    assert not set(train) & set(test)
    assert set(train) | set(test) < {f"{index:04d}" for index in range(526)}
    (tmp_path / "mine.txt").write_text("# mine\n0001\n\n0002\n")
    assert read_split(str(tmp_path / "mine.txt")) == ["0001", "0002"]
    with pytest.raises(NcpifuError, match="no split"):
        read_split("absent")


def test_default_subjects_of_buff_and_thuman(tmp_path: Path) -> None:
    sequence = tmp_path / "buff" / "sequences" / "00005" / "longshort_hips"
    sequence.mkdir(parents=True)
    for frame in range(300):
        (sequence / f"longshort_hips.{frame:06d}.ply").touch()
    chosen = [source.name for source in find_subjects(EvalConfig(dataset="buff", data=str(tmp_path / "buff"))).sources]
    assert len(set(chosen)) == 143
    assert (chosen[0], chosen[-1]) == ("00005_longshort_hips.000000", "00005_longshort_hips.000299")
    for index in range(300):
        (tmp_path / "thuman2" / f"{index:04d}").mkdir(parents=True)
        (tmp_path / "thuman2" / f"{index:04d}" / f"{index:04d}.obj").touch()
    config = EvalConfig(dataset="thuman2", data=str(tmp_path / "thuman2"))
    subjects = find_subjects(config)
    there = [name for name in read_split("thuman2_test") if int(name) < 300]
    assert [source.name for source in subjects.sources] == there
    assert len(subjects.missing) == 122 - len(there)  # named in the report
    (tmp_path / "mine.txt").write_text("0007\n0005\n0444\n")
    mine = find_subjects(config.model_copy(update={"split": str(tmp_path / "mine.txt")}))
    assert ([source.name for source in mine.sources], mine.missing) == (["0005", "0007"], ["0444"])
    (tmp_path / "mine.txt").write_text("0444\n")
    with pytest.raises(NcpifuError, match="none of the 1 subjects of the split"):
        find_subjects(config.model_copy(update={"split": str(tmp_path / "mine.txt")}))


def test_a_subject_without_a_scan_is_named(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    (tmp_path / "mine.txt").write_text("test-000001\ntest-000009\n")
    report = evaluate(settings(tmp_path, scans, weights=(networks.add("net", lambda: truth),), split=str(tmp_path / "mine.txt")))
    assert report.subjects == ["test-000001"]
    assert "no scan of this name" in report.unscored["test-000009"]
    assert "test-000009: no scan" in (tmp_path / "report" / "report.md").read_text()


def test_out_of_distribution_humans_are_a_split(tmp_path: Path, scans: Path, truth: trimesh.Trimesh, networks: FakeNetworks) -> None:
    write_scan(scans, "ood-000000")
    report = evaluate(settings(tmp_path, scans, weights=(networks.add("net", lambda: truth),), split="ood"))
    assert report.subjects == ["ood-000000"]


def test_command_line(tmp_path: Path, scans: Path, truth: trimesh.Trimesh) -> None:
    app = typer.Typer()
    app.command()(eval_cli)
    folder = tmp_path / "theirs"
    folder.mkdir()
    truth.export(folder / "test-000000.ply")
    arguments = ["--data", str(scans), "--predictions", f"theirs={folder}", "--limit", "1", "-o", str(tmp_path / "out"), "--quiet"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["methods"][0]["scores"]["chamfer_cm"]["mean"] < 0.05
    result = CliRunner().invoke(app, arguments)
    assert "report.html" in result.stdout
    result = CliRunner().invoke(app, [*arguments, "--views", "front"])
    assert result.exit_code == 1
    assert "--views 0,90,180,270" in result.stderr
    assert CliRunner().invoke(app, ["--data", str(tmp_path / "absent"), "-q"]).exit_code == 1
    result = CliRunner().invoke(app, ["--table", "1", str(tmp_path / "out"), "-o", str(tmp_path / "tables")])
    assert result.exit_code == 0, result.output
    assert "`theirs`" in (tmp_path / "tables" / "table1.md").read_text()
    result = CliRunner().invoke(app, [str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "--table 1" in result.stderr
