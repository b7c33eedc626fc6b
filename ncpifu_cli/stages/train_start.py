"""How a run begins: a new one, one from other weights, or one that goes on."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ncpifu_cli.artifacts import default_root, remove_leftovers, stable_hash, write_json
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderedSubject
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.build import build
from ncpifu_cli.models.checkpoint import read_header
from ncpifu_cli.progress import Reporter
from ncpifu_cli.stages.train_processes import Processes
from ncpifu_cli.stages.train_state import FILE_NAME, TrainingState
from ncpifu_cli.stages.train_warm_start import warm_start


@dataclass(frozen=True)
class FoundRun:
    """A run on disk that can go on.

    Attributes: state: its file. step: steps done; weights_step: those behind its weights, fewer where the last scoring failed. data: the folder it was told to
    learn from, None where it took the default. time_is_over: its rate has decayed over the time limit, all of it.
    """

    state: Path
    step: int
    weights_step: int
    data: Path | None
    time_is_over: bool

    def is_finished(self, config: TrainConfig) -> bool:
        """Whether nothing is left to do for a run with these settings."""
        return (self.step >= config.steps or self._time_is_over(config)) and self.weights_step >= self.step

    def nothing_left(self, run: Path, config: TrainConfig) -> str:
        """The message for a run that is finished."""
        if self._time_is_over(config):
            return f"{run} has used up its time, in {self.step} steps: nothing is left to do; {_start_from(run / 'weights.safetensors')}"
        asked = "" if self.step == config.steps else f", and {config.steps} were asked for"
        return f"{run} has done its {self.step} steps{asked}: nothing is left to do; for more: ncpifu train --resume -o {run} --max-steps N"

    def _time_is_over(self, config: TrainConfig) -> bool:
        return self.time_is_over and config.optim.schedule == "time"


def find_run(run: Path, resume: bool, processes: Processes) -> FoundRun | None:
    """The run to go on with, None where there is none.

    Raises NcpifuError where there is one and nobody asked for it, where its state is damaged, and where weights are left of one whose state is gone.
    """
    weights = run / "weights.safetensors"
    if not processes.main_says((run / FILE_NAME).exists()):
        if processes.main_says(weights.exists()):
            raise NcpifuError(f"{run} holds weights, but no {FILE_NAME} to go on from", _start_from(weights))
        return None
    if not resume:
        raise occupied(run)
    try:
        header = read_header(run / FILE_NAME)
    except NcpifuError as error:
        raise NcpifuError(f"cannot go on: {error.message}", _start_from(weights) if weights.exists() else "start another run with -o") from error
    data = header.get("data")
    step, time_is_over = int(header.get("step", 0)), float(header.get("time_share", 0.0)) >= 1
    return FoundRun(run / FILE_NAME, step, _weights_step(weights), Path(data) if data else None, time_is_over)


def occupied(run: Path) -> NcpifuError:
    """For a folder with a run that nobody asked to go on with."""
    return NcpifuError(f"{run} already holds a run", "go on with --resume, or choose another folder with -o")


def _start_from(weights: Path) -> str:
    return f"its weights can start another run: ncpifu train --init-from {weights} -o FOLDER"


def runs_beside(run: Path) -> str:
    """The names of other runs in the same folder, for who mistyped one, in brackets; "" without any."""
    names = sorted(path.parent.name for path in run.absolute().parent.glob(f"*/{FILE_NAME}") if path.parent.name != run.name)
    return f" (runs beside it: {', '.join(names[:8])})" if names else ""


def _weights_step(path: Path) -> int:
    try:
        return int(read_header(path)["meta"]["steps"])
    except (NcpifuError, KeyError, TypeError, ValueError):
        return 0  # missing or damaged: they are written again


def data_folder(told: Path | None, run: Path, found: FoundRun | None) -> Path:
    """Where the subjects are: where this or an earlier command told, else renders/ under the data root. Raises NcpifuError where those of a run are gone."""
    folder = told or default_root() / "renders"
    if found is not None and not folder.is_dir():
        raise NcpifuError(f"the renders in {folder} are not there", f"give the folder that holds them now: ncpifu train FOLDER --resume -o {run}")
    return folder


def starting_state(
    config: TrainConfig,
    subjects: list[RenderedSubject],
    data: Path | None,
    found: FoundRun | None,
    init_from: str | Path | None,
    processes: Processes,
    reporter: Reporter,
) -> TrainingState:
    """The state to start with: that of the run `found`, else a fresh one, with what fits of the weights `init_from`. `data` is what it remembers."""
    if processes.device.type == "cpu":
        torch.set_num_threads(config.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    model = build(config.model).to(processes.device)
    if init_from is not None and found is None:
        start = warm_start(model, init_from)
        (reporter.info if start.fits else reporter.warn)(str(start))
    state = TrainingState(model, config, stable_hash([[subject.name, subject.content] for subject in subjects]), data)
    if found is not None:
        warning = state.load(found.state)
        if warning:
            reporter.warn(warning)
    return state


def keep_beginning(state: TrainingState, run: Path, found: FoundRun | None, processes: Processes) -> None:
    """Settings and, of a new run, the state are on disk before the first step. Raises NcpifuError where another command began a run here meanwhile."""
    if not processes.main:
        return
    if found is None and (run / FILE_NAME).exists():
        raise occupied(run)
    remove_leftovers(run)
    remove_leftovers(run / "pictures")
    write_json(run / "config.json", dump(state.config))  # before the state: one without its settings would be resumed with others
    if found is None:
        state.save(run / FILE_NAME)
