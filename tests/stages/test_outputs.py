"""Names that the tool chooses replace only what the tool has written."""

import json
from pathlib import Path

import pytest

from ncpifu_cli.config.reconstruct import ReconstructConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.outputs import Outputs, draft_path, files_of_run, plan_outputs
from ncpifu_cli.stages.reconstruct_batch import _distinct, collect_photos

PLAIN = ReconstructConfig()


def run(outputs: Outputs, photo: str = "person.jpg") -> None:
    """Leaves what a run would leave."""
    for path in outputs.wanted():
        path.write_text("ours")
    told = {"format": "ncpifu-reconstruction", "mesh": {"file": outputs.mesh.name}, "photo": {"file": photo}}
    outputs.sidecar.write_text(json.dumps(told | {"written": [path.name for path in outputs.wanted()]}))


def test_a_picture_of_somebody_else_outlives_every_run(tmp_path: Path) -> None:
    for name in ("person.png", "person_preview.png"):
        (tmp_path / name).write_text("mine")
    for _ in range(3):
        outputs = plan_outputs(tmp_path / "person.obj", PLAIN)
        assert outputs.preview == tmp_path / "person_preview_2.png"
        run(outputs)
    assert (tmp_path / "person.png").read_text() == (tmp_path / "person_preview.png").read_text() == "mine"
    assert [path.name for path in collect_photos([tmp_path])] == ["person.png"]


def test_a_runs_own_files_are_replaced(tmp_path: Path) -> None:
    page = ReconstructConfig(html=True, turntable="gif", confidence=True)
    first = plan_outputs(tmp_path / "person.obj", page)
    run(first)
    assert plan_outputs(tmp_path / "person.obj", page) == first


def test_the_sidecar_of_an_older_version_knows_its_preview(tmp_path: Path) -> None:
    told = {"format": "ncpifu-reconstruction", "mesh": {"file": "person.obj"}, "photo": {"file": "person.jpg"}}
    (tmp_path / "person.json").write_text(json.dumps(told))
    assert {"person.json", "person.obj", "person.png"} <= files_of_run(tmp_path / "person.json")
    (tmp_path / "person.json").write_text(json.dumps(told | {"photo": {"file": "person.png"}}))
    assert "person.png" not in files_of_run(tmp_path / "person.json")


@pytest.mark.parametrize("text", ['{"shapes": []}', "[]", "null", "", "\xff"])
def test_a_json_of_another_program_is_not_replaced(text: str, tmp_path: Path) -> None:
    (tmp_path / "person.json").write_text(text, encoding="latin-1")
    assert files_of_run(tmp_path / "person.json") == frozenset()
    with pytest.raises(NcpifuError, match="would replace a file that no earlier run has left"):
        plan_outputs(tmp_path / "person.obj", PLAIN)


@pytest.mark.parametrize(
    ("config", "name"),
    [({"html": True}, "person.html"), ({"turntable": "gif"}, "person.gif"), ({"confidence": True}, "person_confidence.obj")],
)
def test_other_files_of_somebody_else_are_not_replaced(config: dict, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(NcpifuError, match=f"{name} would replace"):
        plan_outputs(tmp_path / "person.obj", ReconstructConfig(**config))
    named = ReconstructConfig(turntable=str(tmp_path / "person.gif"))
    assert plan_outputs(tmp_path / "person.obj", named).turntable == tmp_path / "person.gif"  # who names a file means it


def test_masks_that_were_corrected_stay(tmp_path: Path) -> None:
    mesh, alone = tmp_path / "person.obj", ReconstructConfig(mask_only=True)
    (tmp_path / "person_mask.png").write_text("corrected")
    assert plan_outputs(mesh, alone).mask == tmp_path / "person_mask_2.png"
    first = draft_path(mesh, [], b"draft")
    first.write_bytes(b"draft")
    assert draft_path(mesh, [], b"draft") == first
    first.write_bytes(b"corrected")
    assert draft_path(mesh, [], b"draft") == tmp_path / "person_mask_guess_2.png"


def test_a_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    for mesh in (tmp_path / ("x" * 300 + ".obj"), tmp_path / ("x" * 300) / "a.obj"):
        with pytest.raises(NcpifuError, match="too long"):
            plan_outputs(mesh, PLAIN)


def test_photos_of_one_name_leave_the_others_theirs() -> None:
    assert _distinct(["x", "x", "x_2", "x"]) == ["x", "x_3", "x_2", "x_4"]


def test_a_list_as_notepad_saves_it(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("man.png\r\nwoman.png\r\n", encoding="utf-8-sig")
    assert collect_photos([tmp_path / "list.txt"]) == [tmp_path / "man.png", tmp_path / "woman.png"]
