"""The doctor tells what is there, what is not, and what to do about it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ncpifu_cli import artifacts
from ncpifu_cli.artifacts import sha256
from ncpifu_cli.cli.doctor import doctor_cli
from ncpifu_cli.data import renderer_pyrender
from ncpifu_cli.stages import doctor


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder of our own, no mask models, OpenGL not tried for real (it has its own test)."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(artifacts, "WEIGHTS_FOLDERS", (folder,))
    monkeypatch.delenv("NCPIFU_WEIGHTS", raising=False)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "models"))
    monkeypatch.setattr(renderer_pyrender, "gl_problem", lambda: "no libEGL here")
    return folder


def add_weights(folder: Path) -> Path:
    path = folder / "compact.safetensors"
    path.write_bytes(b"weights")
    (folder / "SHA256SUMS").write_text(f"{sha256(path)}  compact.safetensors\n")
    return path


def states() -> dict[str, str]:
    return {check.name: check.state for check in doctor.examine()}


def test_missing_weights_are_essential(sandbox: Path) -> None:
    assert states()["weights"] == "broken"
    add_weights(sandbox)
    found = states()
    assert found["weights"] == found["weights hashes"] == found["python"] == found["torch"] == found["geometry"] == "ok"
    assert found["OpenGL"] == found["mask model"] == "missing"


def test_changed_weights_are_noticed(sandbox: Path) -> None:
    add_weights(sandbox).write_bytes(b"other")
    check = doctor.check_weights_hashes()
    assert check.state == "broken"
    assert "compact.safetensors" in check.detail


def test_mask_model_on_disk(tmp_path: Path) -> None:
    missing = doctor.check_mask_model()
    assert str(tmp_path / "models") in missing.hint
    model = tmp_path / "models" / "u2net_human_seg.onnx"
    model.parent.mkdir()
    model.write_bytes(bytes(200_000))
    found = doctor.check_mask_model()
    assert found.state == "ok"
    assert "Apache-2.0" in found.detail


def test_matting_weights_and_media_packages(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NCPIFU_MATTING", raising=False)
    assert doctor.check_matting().state == "missing"
    path = sandbox / "matting.safetensors"
    path.write_bytes(b"weights")
    assert sha256(path)[:12] in doctor.check_matting().detail
    monkeypatch.setenv("NCPIFU_BACK", "none")
    assert doctor.check_people().state == "missing"
    assert doctor.check_back().state == "missing" and "face and all" in doctor.check_back().detail
    monkeypatch.setenv("NCPIFU_BACK", str(sandbox / "nothing"))
    assert doctor.check_back().state == "broken"
    monkeypatch.setattr(doctor, "MEDIA_PACKAGES", {"json": "JSON", "not_there": "everything else"})
    media = doctor.check_media()
    assert media.state == "missing"
    assert media.detail == "not installed: not-there (everything else)"


def test_everything_missing_has_a_hint() -> None:
    for check in doctor.examine():
        assert check.detail
        assert check.state == "ok" or check.hint or check.name == "weights hashes"


def test_command(sandbox: Path) -> None:
    app = typer.Typer()
    app.command()(doctor_cli)
    broken = CliRunner().invoke(app, ["--json"])
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["ok"] is False
    add_weights(sandbox)
    good = CliRunner().invoke(app, [])
    assert good.exit_code == 0
    assert "is here" in good.stdout
    assert "apt-get install" in good.stdout
