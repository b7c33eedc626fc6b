"""All that a run needs to go on after it was stopped or killed, in one file."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncpifu_cli.config.base import dump, validate
from ncpifu_cli.config.model import ModelConfig
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.build import Network
from ncpifu_cli.models.checkpoint import mismatch, read_tensors, save_tensors
from ncpifu_cli.models.ema import AveragedWeights
from ncpifu_cli.stages.train_codebooks import CodebookKeeper

FILE_NAME = "last.safetensors"
FORMAT = "ncpifu-training-state-1"
MAX_BAD_STEPS = 20
ENCODER = ("encoder.", "depth_head.")  # what points read from; nothing reads from the camera head, which learns beside any encoder


def decay(progress: float) -> float:
    """A cosine from 1 to 1 % over the run, of which the share `progress` is done."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def learning_rate(config: TrainConfig, step: int, time_share: float = 0.0) -> float:
    """Linear warm-up, then a cosine to 1 % at the last step, or before at the end of the time limit of which `time_share` is over (or constant)."""
    optim = config.optim
    warm = min(1.0, (step + 1) / max(1, optim.warmup_steps))
    if optim.schedule == "constant":
        return optim.lr * warm
    progress = max(time_share, (step - optim.warmup_steps) / max(1, config.steps - optim.warmup_steps))
    return optim.lr * warm * decay(progress)


def _parameter_groups(model: Network, config: TrainConfig) -> list[dict[str, Any]]:
    """The encoder with its depth head, and all that reads from it, each with its share `rate` of the learning rate."""
    of_encoder: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (of_encoder if name.startswith(ENCODER) else others).append(parameter)
    return [{"params": of_encoder, "rate": config.optim.encoder_rate}, {"params": others, "rate": 1.0}]


class TrainingState:
    """Network, optimiser, averaged weights, codebook usage and position in the data.

    The rest is a function of these: the learning rate of the step (but with `optim.schedule=time`), an image and its augmentation of its number. Nothing in a
    step draws random numbers.

    Attributes: step: optimiser steps done. position: images seen. skipped: steps left out because loss or gradient was not finite; bad_steps of
    them in a row up to now. subjects: hash of the training subjects, by name and content. data: where they lie,
    None for the default. time_share: of the time limit that is over, with `optim.schedule=time`, else 0; a resumed run begins where it was and has the rest of
    the way for its own limit.
    """

    def __init__(self, model: Network, config: TrainConfig, subjects: str = "", data: Path | None = None) -> None:
        self.model, self.config, self.subjects, self.data = model, config, subjects, data
        groups = _parameter_groups(model, config)
        for group in groups:
            if group["rate"] == 0:  # no gradients are computed then, which is faster
                for parameter in group["params"]:
                    parameter.requires_grad_(False)
        self.optimizer = torch.optim.AdamW(groups, lr=config.optim.lr, weight_decay=config.optim.weight_decay, fused=True)
        self.average = AveragedWeights(model, config.optim.ema)
        self.keeper = CodebookKeeper(model)
        self.step = self.position = self.skipped = self.bad_steps = 0
        self.time_share = self._time_share_begun = 0.0

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return max(self.time_share, self.step / self.config.steps)

    def note_time(self, share: float) -> None:
        """Of this command's time limit `share` is over."""
        if self.config.optim.schedule == "time":
            self.time_share = self._time_share_begun + (1 - self._time_share_begun) * share

    def set_learning_rate(self) -> float:
        """Tell the optimiser that of the step to do; returns it."""
        rate = learning_rate(self.config, self.step, self.time_share)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * rate
        return rate

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def count_skip(self) -> None:
        """A step was left out; raise after too many in a row."""
        self.skipped += 1
        self.bad_steps += 1
        if self.bad_steps >= MAX_BAD_STEPS:
            raise NcpifuError(
                f"{MAX_BAD_STEPS} steps in a row were not finite (at step {self.step})", "lower optim.lr and resume: the last checkpoint is from before"
            )

    def save(self, path: Path) -> None:
        """Write everything into one safetensors file, atomically."""
        tensors: dict[str, Tensor] = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in self.average.shadow.items()}
        tensors |= {f"usage/{name}": value for name, value in self.keeper.usage.items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value
        counters = {"step": self.step, "position": self.position, "skipped": self.skipped, "subjects": self.subjects, "time_share": self.time_share}
        counters["data"] = str(self.data.absolute()) if self.data else None
        # state_dict of model and average may share storage with nothing, but safetensors refuses shared memory: clone.
        save_tensors(path, {name: value.clone() for name, value in tensors.items()}, {"format": FORMAT, "config": dump(self.config), **counters})

    def load(self, path: Path) -> str:
        """Take over what `save` wrote; returns a warning when the data changed since, else "".

        Raises NcpifuError when the file is damaged, of another kind, or of a network with other settings.
        """
        tensors, header = read_tensors(path)
        if header.get("format") != FORMAT:
            raise NcpifuError(f"{path} is not a training state", "resume from a folder written by `ncpifu train`")
        if not isinstance(header.get("config"), dict) or "model" not in header["config"]:
            raise NcpifuError(f"{path} does not say what it is a state of", "it was edited; start another run with -o")
        if validate(ModelConfig, header["config"]["model"], str(path)) != self.config.model:
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
                self.optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in moments.items()}  # a fused Adam counts its steps there too
        self.keeper.usage = {name: value.to(self.device) for name, value in parts["usage"].items()}
        self.step, self.skipped, self.bad_steps = int(header["step"]), int(header.get("skipped", 0)), 0
        self.position = int(header.get("position", self.step * self.config.optim.batch_size))
        if self.config.optim.schedule == "time":
            self.time_share = self._time_share_begun = float(header.get("time_share", 0.0))
        same = header.get("subjects", self.subjects) == self.subjects
        return "" if same else "the training subjects are not those of the checkpoint: the run goes on with other images"
