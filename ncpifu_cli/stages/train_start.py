"""How a run begins: a new one, one from other weights, or one that goes on."""

from pathlib import Path

import torch

from ncpifu_cli.artifacts import default_root, remove_leftovers, stable_hash, write_json
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderedSubject
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.build import build
from ncpifu_cli.progress import Reporter
from ncpifu_cli.stages.train_processes import Processes
from ncpifu_cli.stages.train_state import FILE_NAME, TrainingState, recorded_data
from ncpifu_cli.stages.train_warm_start import warm_start


def find_run(run: Path, resume: bool, processes: Processes, reporter: Reporter) -> Path | None:
    """The state of a run to go on with, None where there is none. Raises NcpifuError where there is one and nobody asked for it."""
    found = processes.main_says((run / FILE_NAME).exists())
    if found and not resume:
        raise NcpifuError(f"{run} already holds a run", "go on with --resume, or choose another folder with -o")
    if resume and not found:
        reporter.info(f"there is no run in {run} to go on with: a new one begins")
    return run / FILE_NAME if found else None


def data_folder(found: Path | None) -> Path:
    """Where the subjects are when nobody says: where the run that goes on had them, else renders/ under the data root."""
    return (recorded_data(found) if found is not None else None) or default_root() / "renders"


def starting_state(
    config: TrainConfig, subjects: list[RenderedSubject], data: Path, found: Path | None, init_from: str | Path | None, processes: Processes, reporter: Reporter
) -> TrainingState:
    """The state to start with: the one `found` of the run, else a fresh one, with what fits of the weights `init_from`."""
    if processes.device.type == "cpu":
        torch.set_num_threads(config.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    model = build(config.model).to(processes.device)
    if init_from is not None and found is None:
        reporter.info(str(warm_start(model, init_from)))
    state = TrainingState(model, config, stable_hash([[subject.name, subject.content] for subject in subjects]), data)
    if found is not None:
        warning = state.load(found)
        if warning:
            reporter.warn(warning)
    return state


def is_finished(state: TrainingState, run: Path, processes: Processes) -> bool:
    """Whether an earlier run reached the last step and saved everything: weights are written before the state."""
    return processes.main_says(state.step >= state.config.steps and (run / "weights.safetensors").is_file())


def keep_beginning(state: TrainingState, run: Path, processes: Processes) -> None:
    """Settings and, of a new run, the state are on disk before the first step."""
    if processes.main:
        remove_leftovers(run)
        remove_leftovers(run / "pictures")
        write_json(run / "config.json", dump(state.config))  # before the state: one without its settings would be resumed with others
        if not (run / FILE_NAME).exists():
            state.save(run / FILE_NAME)
