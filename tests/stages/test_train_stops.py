"""Nothing is lost and nothing is hidden: signals, full disks, unreadable items, steps that are not finite."""

import csv
import json
import math
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from render_fixtures import losses, write_balls
from typer.testing import CliRunner

from ncpifu_cli.artifacts import read_json
from ncpifu_cli.cli.app import app
from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import load_weights, read_tensors
from ncpifu_cli.stages import train as train_stage
from ncpifu_cli.stages import train_stop
from ncpifu_cli.stages.train import TrainResult, train
from ncpifu_cli.stages.train_state import MAX_BAD_STEPS
from ncpifu_cli.stages.train_stop import stop_requests

SMALL = ("model.image_size_px=32", "data.points=32", "picture_every=0")


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("renders"))


def small(*overrides: str) -> TrainConfig:
    return load(TrainConfig, "tiny", [*SMALL, *overrides])


class Listener:
    """A reporter that keeps what it is told and calls `act` at every step."""

    def __init__(self, act=lambda step: None) -> None:
        self.told: list[str] = []
        self.act, self.step = act, -1  # the first advance tells the starting step
        self.total, self.done = 0.0, 0.0

    def info(self, message: str) -> None:
        self.told.append(message)

    warn = info

    @contextmanager
    def task(self, description: str, total: float | None) -> Iterator["Listener"]:
        self.total = total or 0.0
        yield self

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.step += 1
        self.done += amount
        self.act(self.step)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_saves_also_where_sigint_was_ignored(renders: Path, tmp_path: Path, number: signal.Signals) -> None:
    def act(step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), number)

    config = small("steps=5", "validate_every=100")
    before = signal.signal(number, signal.SIG_IGN)  # as a shell starts background processes
    try:
        listener = Listener(act)
        result = train(config, renders, tmp_path / "run", reporter=listener)
        assert signal.getsignal(number) is signal.SIG_IGN  # and left as it was
    finally:
        signal.signal(number, before)
    assert (result.steps, result.signal_number) == (3, number)
    assert any(number.name in message and "--resume" in message for message in listener.told)
    train(config, renders, tmp_path / "run", resume=True)
    train(config, renders, tmp_path / "whole")
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_step_draws_no_random_numbers(renders: Path, tmp_path: Path) -> None:
    """So a checkpoint needs no generator's state."""
    states: list[torch.Tensor] = []
    train(small("steps=5"), renders, tmp_path / "run", reporter=Listener(lambda step: states.append(torch.get_rng_state())))
    assert len(states) == 6
    assert all(torch.equal(state, states[0]) for state in states)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with stop_requests() as stop, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        signal.raise_signal(signal.SIGINT)


def test_steps_that_are_not_finite_are_left_out_counted_and_explained(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, calls = train_stage._forward, []

    def broken(model, batch, config, first):
        terms, prediction = forward(model, batch, config)
        calls.append(1)
        if len(calls) in (2, 3):
            terms["total"] = terms["total"] * torch.nan
        return terms, prediction

    monkeypatch.setattr(train_stage, "_forward", broken)
    listener = Listener()
    result = train(small("steps=4"), renders, tmp_path / "run", reporter=listener)
    assert sum("left out: total, grad_norm not finite" in message for message in listener.told) == 2
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        assert {row["step"]: row["value"] for row in csv.DictReader(file) if row["name"] == "skipped"} == {"1": "0", "2": "1", "3": "2", "4": "2"}
    assert all(torch.isfinite(value).all() for value in load_weights(result.weights)[0].state_dict().values())

    calls.extend([1] * 10)
    monkeypatch.setattr(train_stage, "_forward", lambda *a: (lambda terms, p: ({k: v * torch.inf for k, v in terms.items()}, p))(*forward(*a)))
    with pytest.raises(NcpifuError, match=f"{MAX_BAD_STEPS} steps in a row") as caught:
        train(small("steps=40", "validate_every=10"), renders, tmp_path / "bad")
    assert "resume" in caught.value.hint
    assert all(torch.isfinite(value).all() for value in read_tensors(tmp_path / "bad" / "last.safetensors")[0].values())


def test_weights_that_are_lost_never_replace_the_last_good_checkpoint(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = train_stage._step, []

    def poisoned(state, *arguments, **named):
        found = step(state, *arguments, **named)
        calls.append(1)
        if len(calls) == 3:
            next(state.model.parameters()).data.fill_(torch.inf)
        return found

    monkeypatch.setattr(train_stage, "_step", poisoned)
    listener = Listener()
    with pytest.raises(NcpifuError, match="steps in a row"):
        train(small("steps=60", "validate_every=2"), renders, tmp_path / "run", reporter=listener)
    assert any("is not saved" in message for message in listener.told)
    tensors, header = read_tensors(tmp_path / "run" / "last.safetensors")
    assert header["step"] == 2
    assert all(torch.isfinite(value).all() for value in tensors.values() if value.is_floating_point())
    assert all(torch.isfinite(value).all() for value in load_weights(tmp_path / "run" / "weights.safetensors")[0].state_dict().values())
    assert train(small("steps=4", "validate_every=2"), renders, tmp_path / "run", resume=True).steps == 4


def test_a_broken_watched_subject_is_met_before_the_first_step_or_left_out(renders: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "renders"
    shutil.copytree(renders, damaged)
    watched = sorted(path.name for path in damaged.glob("train-*"))[:2]
    (damaged / watched[0] / "samples.npz").write_bytes(b"PK cut off")
    names = f"data.watch={json.dumps(watched)}"
    with pytest.raises(NcpifuError, match=watched[0]):
        train(small(names), damaged, tmp_path / "stops")
    listener = Listener()
    result = train(small(names, "data.skip_bad=true"), damaged, tmp_path / "goes on", reporter=listener)
    assert result.metrics["iou"] >= 0
    assert any(message.startswith("not watched") and watched[0] in message for message in listener.told)


def test_work_is_saved_also_when_scoring_fails(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_):
        raise NcpifuError("the file went away")

    monkeypatch.setattr(train_stage, "validate", fails)
    with pytest.raises(NcpifuError, match="went away"):
        train(small("steps=4", "validate_every=3"), renders, tmp_path / "run")
    assert read_tensors(tmp_path / "run" / "last.safetensors")[1]["step"] == 3


def test_the_list_of_skipped_items_outlives_a_stop(renders: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "renders"
    shutil.copytree(renders, damaged)
    (damaged / "train-000002" / "samples.npz").write_bytes(b"PK cut off")
    options = ("data.validation_subjects=0", "data.skip_bad=true")
    train(small("steps=6", *options), damaged, tmp_path / "run")
    shutil.copy(renders / "train-000002" / "samples.npz", damaged / "train-000002")
    (damaged / "train-000003" / "samples.npz").write_bytes(b"PK cut off")
    train(small("steps=12", *options), damaged, tmp_path / "run", resume=True)
    listed = " ".join(read_json(tmp_path / "run" / "skipped.json"))
    assert "train-000002" in listed and "train-000003" in listed


def test_other_data_under_the_same_names_is_told(renders: Path, tmp_path: Path) -> None:
    train(small("steps=2"), renders, tmp_path / "run")
    other = tmp_path / "renders"
    shutil.copytree(renders, other)
    listener = Listener()
    train(small("steps=3"), other, tmp_path / "run", resume=True, reporter=listener)
    assert not any("not those of the checkpoint" in message for message in listener.told)
    manifest = other / "train-000001" / "subject.json"
    manifest.write_text(json.dumps(read_json(manifest) | {"hash": "another"}))
    train(small("steps=4"), other, tmp_path / "run", resume=True, reporter=listener)
    assert any("not those of the checkpoint" in message for message in listener.told)


def test_a_training_state_is_no_weights_file_and_the_hint_names_one(renders: Path, tmp_path: Path) -> None:
    result = train(small("steps=2"), renders, tmp_path / "run")
    with pytest.raises(NcpifuError, match="holds no ncpifu-weights") as caught:
        load_weights(tmp_path / "run" / "last.safetensors")
    assert str(result.weights) in caught.value.hint


def test_unreadable_items_stop_the_run_or_are_replaced_and_listed(renders: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "renders"
    shutil.copytree(renders, damaged)
    (damaged / "train-000002" / "samples.npz").write_bytes(b"PK cut off")
    for image in (damaged / "train-000003" / "rgb").iterdir():
        image.unlink()
    config = small("steps=6", "data.validation_subjects=0")
    with pytest.raises(NcpifuError, match="train-00000[23]"):
        train(config, damaged, tmp_path / "stops")
    listener = Listener()
    result = train(small("steps=6", "data.validation_subjects=0", "data.skip_bad=true"), damaged, tmp_path / "goes on", reporter=listener)
    assert result.steps == 6
    listed = read_json(tmp_path / "goes on" / "skipped.json")
    assert any("train-000002" in line for line in listed) and any("train-000003" in line for line in listed)
    assert sum(message.startswith("skipped: ") for message in listener.told) == len(listed)
    for image in damaged.glob("*/rgb/*"):
        image.unlink()
    with pytest.raises(NcpifuError, match="cannot read"):  # nothing left to take instead
        train(small("steps=2", "data.validation_subjects=0", "data.skip_bad=true"), damaged, tmp_path / "empty")


def test_errors_of_loader_processes_arrive_whole(renders: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "renders"
    shutil.copytree(renders, damaged)
    for points in damaged.glob("train-*/samples.npz"):
        points.write_bytes(b"PK cut off")
    with pytest.raises(NcpifuError, match=r"^cannot read the samples in .*samples\.npz") as caught:
        train(small("steps=2", "data.workers=1"), damaged, tmp_path / "run")
    assert "ncpifu render" in caught.value.hint


def test_a_full_disk_is_named_and_the_last_checkpoint_stays(renders: Path, tmp_path: Path) -> None:
    config = small("steps=4")
    whole = train(config, renders, tmp_path / "whole")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def act(step: int) -> None:
        if step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # as if the disk were full: no file may grow beyond this

    try:
        with pytest.raises(NcpifuError, match=r"cannot write .*last\.safetensors") as caught:
            train(config, renders, tmp_path / "run", reporter=Listener(act))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "free some space" in caught.value.hint
    assert not list((tmp_path / "run").glob(".tmp-*"))
    assert train(config, renders, tmp_path / "run", resume=True).steps == whole.steps
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_the_command_resumes_with_the_runs_own_settings_and_tells_the_shell_of_a_signal(renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TrainConfig] = []

    def fake(config, data, run, **options):
        seen.append(config)
        return TrainResult(run / "weights.safetensors", 1, {}, signal_number=15)

    monkeypatch.setattr(train_stage, "train", fake)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(small("seed=5", "optim.lr=1e-6").model_dump(mode="json")))
    arguments = ["train", str(renders), "-o", str(run), "--overfit", "2", "--skip-bad", "--quiet"]
    assert CliRunner().invoke(app, [*arguments, "--config", "tiny", "--max-steps", "9"]).exit_code == 143
    assert CliRunner().invoke(app, [*arguments, "--resume", "--set", "optim.lr=0.5"]).exit_code == 143
    fresh, resumed = seen
    assert (fresh.seed, fresh.steps, fresh.data.overfit, fresh.data.skip_bad) == (0, 9, 2, True)
    assert (resumed.seed, resumed.optim.lr, resumed.model.image_size_px, resumed.data.overfit) == (5, 0.5, 32, 0)  # whom it learns from is the run's own


def test_overfit_watches_what_it_trains_on_and_accumulation_is_a_larger_batch(renders: Path, tmp_path: Path) -> None:
    listener = Listener()
    train(small("steps=1", "data.overfit=1"), renders, tmp_path / "overfit", reporter=listener)
    assert any(message.startswith("1 subject to train on, 1 to watch") for message in listener.told)
    # Codebook balance and depth error are means over a batch of unequal parts; without them a sum of passes is exactly a larger batch.
    plain = ("steps=3", "loss.balance=0", "loss.depth=0", "revive_every=100")
    train(small(*plain, "optim.batch_size=4"), renders, tmp_path / "large")
    train(small(*plain, "optim.batch_size=2", "optim.accumulate=2"), renders, tmp_path / "twice")
    large, twice = losses(tmp_path / "large"), losses(tmp_path / "twice")
    assert list(large) == [1, 2, 3]
    assert [float(v) for v in twice.values()] == pytest.approx([float(v) for v in large.values()], rel=1e-4)


class Clock:
    """Takes the place of `time` in train_stop: a second passes with every step."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def step(self, _step: int) -> None:
        self.now += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(train_stop, "time", ticking := Clock())
    return ticking


BY_TIME = ("optim.schedule=time", "steps=100000", "log_every=1", "validate_every=100000", "data.validation_subjects=0", "optim.warmup_steps=0", "optim.lr=1e-3")


def rates_of(run: Path) -> list[float]:
    with open(run / "metrics.csv") as file:
        return [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "lr"]


def decayed(*shares: float) -> list[float]:
    return [pytest.approx(1e-3 * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)) for share in shares]


def test_rate_decays_over_the_time_limit(renders: Path, tmp_path: Path, clock: Clock) -> None:
    run, listener = tmp_path / "run", Listener(clock.step)
    result = train(small(*BY_TIME), renders, run, device="cpu", limit_seconds=4, reporter=listener)
    # The listener hears of the starting step first: a second is over then. A step is told the time at its end.
    assert result.steps == 4
    assert rates_of(run) == decayed(0, 0.25, 0.5, 0.75)
    assert "the time is over, after 4 steps" in listener.told
    assert (listener.total, listener.done) == (100, pytest.approx(100))  # percent of the time, not of a hundred thousand steps
    done = Listener()
    again = train(small(*BY_TIME), renders, run, resume=True, device="cpu", reporter=done)
    assert again.steps == 4
    assert any("has used up its time, in 4 steps" in message and "--init-from" in message for message in done.told)


def test_steps_that_end_before_the_time_are_told(renders: Path, tmp_path: Path, clock: Clock) -> None:
    listener = Listener(clock.step)
    train(small(*BY_TIME, "steps=2"), renders, tmp_path / "run", device="cpu", limit_seconds=8, reporter=listener)
    assert any(message.startswith("the steps ended when 25% of the time was over: --max-steps") for message in listener.told)


def test_rate_over_a_time_limit_goes_on_where_it_was(renders: Path, tmp_path: Path, clock: Clock) -> None:
    run = tmp_path / "run"

    def interrupt(step: int) -> None:
        clock.step(step)
        if step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    listener = Listener(interrupt)
    train(small(*BY_TIME), renders, run, device="cpu", limit_seconds=8, reporter=listener)
    assert any("--limit-time TIME" in message for message in listener.told)
    assert rates_of(run) == decayed(0, 0.125)
    train(small(*BY_TIME), renders, run, resume=True, device="cpu", limit_seconds=2, reporter=Listener(clock.step))
    # A quarter was over: the rest of the way takes the new two seconds.
    assert rates_of(run)[2:] == decayed(0.25, 0.25 + 0.75 / 2)


def test_a_limit_of_other_schedules_leaves_no_trace(renders: Path, tmp_path: Path, clock: Clock) -> None:
    config = small(*BY_TIME, "optim.schedule=constant")
    train(config, renders, tmp_path / "run", device="cpu", limit_seconds=2, reporter=Listener(clock.step))
    _, header = read_tensors(tmp_path / "run" / "last.safetensors")
    assert header["time_share"] == 0
    assert train_stop.StopRequest(0).requested and train_stop.StopRequest(-1).requested


def test_rate_over_a_time_limit_needs_one(renders: Path, tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="needs a time limit") as error:
        train(small("optim.schedule=time"), renders, tmp_path / "run", device="cpu")
    assert "--limit-time" in error.value.hint
    assert not (tmp_path / "run").exists()
