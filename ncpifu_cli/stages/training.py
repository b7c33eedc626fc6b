"""Parts of the training loop: state that survives a kill, learning rate, codebook care, metrics file, background loading."""

import csv
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.api import CodebookReport
from ncpifu_cli.models.blocks.codebook import Codebook, perplexity
from ncpifu_cli.models.build import Network
from ncpifu_cli.models.checkpoint import mismatch, read_tensors, save_tensors
from ncpifu_cli.models.ema import AveragedWeights

T = TypeVar("T")
FORMAT = "ncpifu-training-state-1"
MAX_BAD_STEPS = 20


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine to 1 % at the last step (or constant)."""
    optim = config.optim
    if step < optim.warmup_steps:
        return optim.lr * (step + 1) / optim.warmup_steps
    if optim.schedule == "constant":
        return optim.lr
    progress = (step - optim.warmup_steps) / max(1, config.steps - optim.warmup_steps)
    return optim.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


class TrainingState:
    """Network, optimiser, averaged weights and position: all that a run needs to go on. Data order and augmentation are functions of the step."""

    def __init__(self, model: Network, config: TrainConfig) -> None:
        self.model, self.config = model, config
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=config.optim.lr, weight_decay=config.optim.weight_decay)
        self.average = AveragedWeights(model, config.optim.ema)
        self.keeper = CodebookKeeper(model)
        self.step = 0
        self.bad_steps = 0

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    @classmethod
    def start(cls, model: Network, config: TrainConfig, path: Path, *, resume: bool) -> "TrainingState":
        """A fresh state, or the one in `path` with `resume`. Refuses to start anew over an existing run."""
        state = cls(model, config)
        if path.exists() and not resume:
            raise NcpifuError(f"{path.parent} already holds a run", "go on with --resume, or choose another folder with -o")
        if resume and path.exists():
            state._load(path)
        return state

    def count_skip(self, finite: bool) -> None:
        """Count steps skipped because loss or gradient was not finite; raise after too many in a row."""
        self.bad_steps = 0 if finite else self.bad_steps + 1
        if self.bad_steps >= MAX_BAD_STEPS:
            raise NcpifuError(f"{MAX_BAD_STEPS} steps in a row were not finite (at step {self.step})", "lower optim.lr and resume from the last checkpoint")

    def save(self, path: Path) -> None:
        """Everything that a run needs into one safetensors file, atomically."""
        tensors: dict[str, Tensor] = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in self.average.shadow.items()}
        tensors |= {f"usage/{name}": value for name, value in self.keeper.usage.items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value
        # state_dict of model and average may share storage with nothing, but safetensors refuses shared memory: clone.
        save_tensors(path, {name: value.clone() for name, value in tensors.items()}, {"format": FORMAT, "step": self.step, "config": dump(self.config)})

    def _load(self, path: Path) -> None:
        tensors, header = read_tensors(path)
        if header.get("format") != FORMAT:
            raise NcpifuError(f"{path} is not a training state", "resume from a folder written by `ncpifu train`")
        if header["config"]["model"] != dump(self.config.model):
            raise NcpifuError(f"{path} was trained with other model settings", "resume with the run's own config.json, or start another run with -o")
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}, "usage": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = value
        wanted = {name: tuple(value.shape) for name, value in self.model.state_dict().items()}
        problem = mismatch(wanted, {name: tuple(value.shape) for name, value in parts["model"].items()})
        if problem:
            raise NcpifuError(f"{path} does not fit the model: {problem}", "start another run with -o")
        self.model.load_state_dict(parts["model"])
        for name, value in parts["average"].items():
            self.average.shadow[name].copy_(value)
        for name, parameter in self.model.named_parameters():
            moments = {key: parts["optimizer"][f"{key}/{name}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}/{name}" in parts["optimizer"]}
            if moments:
                self.optimizer.state[parameter] = {key: value if key == "step" else value.to(parameter.device) for key, value in moments.items()}
        self.keeper.usage = {name: value.to(self.device) for name, value in parts["usage"].items()}
        self.step = int(header["step"])


class CodebookKeeper:
    """Watches the codebooks and revives codes that nobody uses (method section 3)."""

    MEMORY = 0.9  # of the moving average of usage
    DEAD = 0.1  # a code used less than this fraction of its fair share is dead

    def __init__(self, model: Network) -> None:
        branches = {"local": getattr(model, "local_branch", None), "global": getattr(model, "global_branch", None)}
        self._books = {name: branch.codebook for name, branch in branches.items() if branch is not None and isinstance(branch.codebook, Codebook)}
        self.usage: dict[str, Tensor] = {}
        self._last: dict[str, CodebookReport] = {}

    def watch(self, reports: dict[str, CodebookReport]) -> None:
        """Take in one pass's reports."""
        self._last = reports
        for name, report in reports.items():
            old = self.usage.get(name)
            self.usage[name] = report.usage if old is None else self.MEMORY * old + (1 - self.MEMORY) * report.usage

    def health(self) -> dict[str, float]:
        """Codes in use, perplexity and gate openness by branch."""
        values: dict[str, float] = {}
        for name, usage in self.usage.items():
            values[f"{name}_codes"] = float((usage > self.DEAD / len(usage)).sum())
            values[f"{name}_perplexity"] = float(perplexity(usage))
            values[f"{name}_open"] = float(self._last[name].openness) if name in self._last else 0.0
        return values

    def revive(self) -> dict[str, int]:
        """Move dead codes to where the data is; returns how many in each branch."""
        moved = {}
        for name, book in self._books.items():
            if name in self._last:
                moved[name] = book.revive(self.usage[name] < self.DEAD / len(self.usage[name]), self._last[name].samples)
        return moved


class MetricsLog:
    """metrics.csv in long form (step, seconds, name, value), and TensorBoard beside it where it is installed."""

    def __init__(self, run: Path, keep_until: int) -> None:
        self._path = run / "metrics.csv"
        self._begun = self._last = time.monotonic()
        self._last_step = keep_until
        rows = self._rows_until(keep_until)
        with atomic_path(self._path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["step", "seconds", "name", "value"], *rows])
        self._board = self._open_board(run)

    def _rows_until(self, step: int) -> list[list[str]]:
        # A resumed run repeats the steps after its checkpoint; drop what they had logged.
        if step == 0 or not self._path.exists():
            return []
        with open(self._path, newline="", encoding="utf-8") as file:
            return [row for row in list(csv.reader(file))[1:] if len(row) == 4 and int(row[0]) <= step]

    @staticmethod
    def _open_board(run: Path) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return None
        return SummaryWriter(str(run / "tensorboard"))

    def write(self, step: int, values: dict[str, float], batch_size: int | None) -> None:
        """Append values at a step; with a batch size also images per second since the last such call."""
        now = time.monotonic()
        if batch_size is not None:
            values = {**values, "images_per_s": (step - self._last_step) * batch_size / max(now - self._last, 1e-9)}
            self._last, self._last_step = now, step
        with open(self._path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([[step, f"{now - self._begun:.1f}", name, f"{value:.6g}"] for name, value in values.items()])
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)


def in_background(items: Iterator[T], ahead: int = 2) -> Iterator[T]:
    """Iterate in a thread, `ahead` items before they are asked for; errors surface at the item they belong to."""
    done = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(next, items, done) for _ in range(ahead)]
        while True:
            item = waiting.pop(0).result()
            if item is done:
                return
            waiting.append(pool.submit(next, items, done))
            yield item  # type: ignore[misc]
