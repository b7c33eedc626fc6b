"""The command line as a whole: fast help, every verb, and the verbs one after the other as a user would run them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trimesh
from scan_fixtures import write_draco
from typer.testing import CliRunner

from ncpifu_cli.cli.app import app

VERBS = ("reconstruct", "synth", "render", "train", "eval", "doctor")


def test_help_is_light() -> None:
    """`ncpifu --help` must not pay for torch and friends."""
    program = "import sys; from ncpifu_cli.cli.app import app\ntry: app(['--help'])\nexcept SystemExit: pass\nprint('LOADED', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert not loaded & {"torch", "trimesh", "numba", "cv2", "pyrender", "rembg", "anny", "warp", "scipy", "skimage", "igl"}
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_quiet_and_json(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "--json" in result.output
    assert "--quiet" in result.output


def test_train_without_data_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train"], env={"NCPIFU_DATA": str(tmp_path / "nothing")})
    assert result.exit_code == 1
    assert "ncpifu render" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("time", ["soon", "-5m", "0", "12x"])
def test_train_refuses_odd_time_limits(tmp_path: Path, time: str) -> None:
    result = CliRunner().invoke(app, ["train", "--limit-time", time], env={"NCPIFU_DATA": str(tmp_path)})
    assert result.exit_code == 1
    assert "time" in result.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for name in ("train-000001", "train-000002", "train-000003", "test-000001"):
        write_draco(root / "scans" / name / "mesh.drc")
    return root


def test_verbs_follow_each_other_without_arguments_for_folders(data: Path, tmp_path: Path) -> None:
    """render -> train -> eval -> reconstruct, each finding what the one before it left under the data root."""

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--quiet"], env={"NCPIFU_DATA": str(data)})
        assert result.exit_code == 0, result.output
        return result.stdout

    run("render", "--renderer", "raster", "--yaw-step", "180", "--size", "128", "--points", "4000", "--directions", "16", "--jobs", "1")
    settings = ("--set", "optim.lr=0.01", "--set", "optim.batch_size=4", "--set", "validate_every=90", "--set", "optim.ema=0.9")
    trained = json.loads(run("train", "--config", "tiny", "--max-steps", "90", *settings, "--json"))
    assert trained["steps"] == 90
    weights = Path(trained["weights"])
    assert weights == data / "runs" / "tiny" / "weights.safetensors"
    run("eval", "--weights", str(weights), "--resolution", "48")
    scores = json.loads(run("eval", "--weights", str(weights), "--resolution", "48", "--json"))  # goes on where it stopped
    assert "iou" in json.dumps(scores)
    picture, mask = data / "renders/test-000001/rgb/000.jpg", data / "renders/test-000001/mask/000.png"
    run("reconstruct", str(picture), "--mask", str(mask), "-o", str(tmp_path / "out.ply"), "--weights", str(weights), "--resolution", "48")
    mesh = trimesh.load(tmp_path / "out.ply")
    assert mesh.is_watertight
    assert mesh.volume > 0
    assert abs(mesh.bounds[1][1] - mesh.bounds[0][1] - 1.8) < 0.01
