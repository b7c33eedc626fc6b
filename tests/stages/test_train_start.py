"""How a run begins, goes on, or finds nothing left to do; what is wrong with a command is told before what is wrong with the data."""

import json
import shutil
from pathlib import Path

import pytest
from render_fixtures import write_balls
from test_train_stops import Listener, small
from typer.testing import CliRunner

from ncpifu_cli.artifacts import read_json
from ncpifu_cli.cli.app import app
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import load_weights, read_header
from ncpifu_cli.stages import train as train_stage
from ncpifu_cli.stages.train import train
from ncpifu_cli.stages.train_state import FILE_NAME


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("renders"))


def test_a_finished_run_has_nothing_more_to_do(renders: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(small("steps=2"), renders, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    listener = Listener()
    assert train(small("steps=2"), tmp_path / "gone", run, resume=True, reporter=listener).steps == 2  # needs no data
    assert train(small("steps=1"), None, run, resume=True, reporter=listener).steps == 2
    left = f"nothing is left to do; for more: ncpifu train --resume -o {run} --max-steps N"
    assert listener.told == [f"{run} has done its 2 steps: {left}", f"{run} has done its 2 steps, and 1 were asked for: {left}"]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_last_step_without_its_weights_is_not_the_end(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, validate = tmp_path / "run", train_stage.validate
    train(small("steps=1"), renders, run)

    def fails(*_args: object) -> dict[str, float]:
        raise NcpifuError("a watched subject is broken")

    monkeypatch.setattr(train_stage, "validate", fails)
    with pytest.raises(NcpifuError, match="watched subject"):
        train(small("steps=2"), renders, run, resume=True)
    assert read_header(run / FILE_NAME)["step"] == 2
    monkeypatch.setattr(train_stage, "validate", validate)
    train(small("steps=2"), renders, run, resume=True)
    assert load_weights(run / "weights.safetensors")[2]["steps"] == 2


def test_a_run_remembers_the_folder_it_was_told(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, listener = tmp_path / "run", Listener()
    here = tmp_path / "here"
    shutil.copytree(renders, here)
    monkeypatch.setenv("NCPIFU_DATA", str(tmp_path / "nothing"))
    train(small("steps=1"), str(here), run, resume=True, reporter=listener)  # type: ignore[arg-type] (a str will do)
    assert f"there is no run in {run} to go on with: a new one begins" in listener.told
    assert train(small("steps=2"), None, run, resume=True, reporter=listener).steps == 2
    assert f"from {here}; " in listener.told[-2]
    here.rename(tmp_path / "there")
    with pytest.raises(NcpifuError, match=f"the renders in {here} are not there") as caught:
        train(small("steps=3"), None, run, resume=True)
    assert f"ncpifu train FOLDER --resume -o {run}" in caught.value.hint
    train(small("steps=3"), tmp_path / "there", run, resume=True)
    assert read_header(run / FILE_NAME)["data"] == str(tmp_path / "there")


def test_the_default_folder_is_looked_up_every_time(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(renders, tmp_path / "first" / "renders")
    monkeypatch.setenv("NCPIFU_DATA", str(tmp_path / "first"))
    train(small("steps=1"), None, tmp_path / "run")
    (tmp_path / "first").rename(tmp_path / "second")  # a project that moved, another machine
    monkeypatch.setenv("NCPIFU_DATA", str(tmp_path / "second"))
    assert train(small("steps=2"), None, tmp_path / "run", resume=True).steps == 2
    monkeypatch.setenv("NCPIFU_DATA", str(tmp_path / "third"))
    with pytest.raises(NcpifuError, match="the renders in .* are not there"):
        train(small("steps=3"), None, tmp_path / "run", resume=True)
    with pytest.raises(NcpifuError, match="no rendered training subjects in"):
        train(small("steps=2"), None, tmp_path / "other")


def test_what_is_wrong_with_the_command_is_told_before_what_is_wrong_with_the_data(renders: Path, tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="no weights file"):
        train(small("steps=1"), tmp_path / "nothing", tmp_path / "run", init_from=tmp_path / "none.safetensors")
    train(small("steps=1"), renders, tmp_path / "run")
    with pytest.raises(NcpifuError, match="already holds a run"):
        train(small("steps=1"), tmp_path / "nothing", tmp_path / "run")


def test_a_run_that_another_command_began_meanwhile_is_left_alone(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = train_stage.starting_state

    def meanwhile(*arguments):
        monkeypatch.setattr(train_stage, "starting_state", begin)
        train(small("steps=1", "seed=7"), renders, tmp_path / "run")
        return begin(*arguments)

    monkeypatch.setattr(train_stage, "starting_state", meanwhile)
    with pytest.raises(NcpifuError, match="already holds a run"):
        train(small("steps=1"), renders, tmp_path / "run")
    assert read_json(tmp_path / "run" / "config.json")["seed"] == 7


def test_a_run_stopped_before_its_first_step_starts_from_the_weights_that_are_named(renders: Path, tmp_path: Path) -> None:
    first = train(small("steps=1"), renders, tmp_path / "first")
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(small("steps=1").model_dump(mode="json")))
    arguments = ["train", str(renders), "-o", str(run), "--resume", "--init-from", str(first.weights)]
    told = CliRunner().invoke(app, arguments).stderr.replace("\n", " ")
    assert "ignored" not in told
    assert "a new one begins" in told
    assert "tensors from" in told
    assert "--init-from ignored" in CliRunner().invoke(app, [*arguments, "--max-steps", "2"]).stderr.replace("\n", " ")


@pytest.mark.parametrize("resume", [False, True])
def test_weights_without_a_state_are_never_replaced(renders: Path, tmp_path: Path, resume: bool) -> None:
    run = tmp_path / "run"
    weights = train(small("steps=1"), renders, run).weights
    before = weights.read_bytes()
    (run / FILE_NAME).unlink()
    with pytest.raises(NcpifuError, match=r"holds weights, but no last\.safetensors") as caught:
        train(small("steps=1"), renders, run, resume=resume)
    assert f"--init-from {weights}" in caught.value.hint
    assert weights.read_bytes() == before


def test_a_damaged_state_names_the_weights_that_are_left(renders: Path, tmp_path: Path) -> None:
    weights = train(small("steps=1"), renders, tmp_path / "run").weights
    (tmp_path / "run" / FILE_NAME).write_bytes(b"cut off")
    with pytest.raises(NcpifuError, match=r"cannot go on: .*last\.safetensors") as caught:
        train(small("steps=2"), renders, tmp_path / "run", resume=True)
    assert f"--init-from {weights}" in caught.value.hint


def test_a_mistyped_run_is_told_what_there_is(renders: Path, tmp_path: Path) -> None:
    train(small("steps=1"), renders, tmp_path / "mine")
    listener = Listener()
    train(small("steps=1"), renders, tmp_path / "mien", resume=True, reporter=listener)
    assert f"there is no run in {tmp_path / 'mien'} to go on with (runs beside it: mine): a new one begins" in listener.told


def test_weights_of_another_profile_are_warned_of(renders: Path, tmp_path: Path) -> None:
    listener = Listener()
    train(small("steps=1"), renders, tmp_path / "run", init_from="compact", reporter=listener)
    assert listener.told[0].startswith("almost nothing fits, is it of another profile? ")
