"""`train`: rendered subjects -> weights. The loop; data, network and losses live elsewhere."""

import copy
import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ncpifu_cli.artifacts import only_one
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderedSubject, find_subjects
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.api import CodebookReport, Prediction, Seen
from ncpifu_cli.models.build import Network
from ncpifu_cli.models.checkpoint import save_weights
from ncpifu_cli.models.losses import camera_loss, depth_loss, loss, scores, slope_loss
from ncpifu_cli.progress import SILENT, Reporter, counted
from ncpifu_cli.stages.train_calibrate import surface_logit
from ncpifu_cli.stages.train_loader import BadItems, Batch, batches, choose_subjects, worker_count
from ncpifu_cli.stages.train_log import MetricsLog, Pace
from ncpifu_cli.stages.train_processes import Processes, join_processes
from ncpifu_cli.stages.train_start import data_folder, find_run, keep_beginning, runs_beside, starting_state
from ncpifu_cli.stages.train_state import FILE_NAME, TrainingState
from ncpifu_cli.stages.train_stop import StopRequest, stop_requests
from ncpifu_cli.stages.train_watch import progress_picture, readable, validate
from ncpifu_cli.stages.weights import find_weights

ALL_OF_IT = 0.95  # of the time limit
REVIVE_UNTIL = 0.75  # of the run: then the codes settle


@dataclass(frozen=True)
class TrainResult:
    """What a run left behind.

    Attributes: weights: averaged weights to use. steps done. metrics: the last validation's scores by name. main: whether this process wrote them.
    signal_number: of the signal that ended the run early, None without one.
    """

    weights: Path
    steps: int
    metrics: dict[str, float]
    main: bool = True
    signal_number: int | None = None


def train(
    config: TrainConfig,
    data: Path | None,
    run: Path,
    *,
    resume: bool = False,
    init_from: str | Path | None = None,
    device: str = "auto",
    limit_seconds: float | None = None,
    reporter: Reporter = SILENT,
) -> TrainResult:
    """Train a network on the subjects in `data` (None: those a resumed run had; else renders/ under the data root) and keep everything in the folder `run`.

    Writes config.json, metrics.csv, pictures/, last.safetensors (the whole state, to resume from) and weights.safetensors (averaged, to use). The images
    of a step are a function of (seed, images seen), so a resumed run goes on with the very batches it would have seen. Ctrl-C, SIGTERM or the time
    limit end it after the step under way, with a checkpoint. A new run starts from fresh weights, or from what fits of the weights `init_from` (a
    file or a released name). Started by torchrun, this is one of several processes that share the work.

    Raises NcpifuError when there is nothing to train on, when `run` holds another run, when an item cannot be read or a file not be written, or when
    the loss stops being finite.
    """
    with join_processes(device) as processes, stop_requests(limit_seconds) as stop:
        said = reporter if processes.main else SILENT
        found = find_run(run, resume, processes)
        if found is not None and processes.main_says(found.is_finished(config)):
            said.info(found.nothing_left(run, config))
            return TrainResult(run / "weights.safetensors", found.step, {}, processes.main)
        if config.optim.schedule == "time" and limit_seconds is None:
            raise NcpifuError("optim.schedule=time needs a time limit", "add --limit-time 25m")
        if init_from is not None and found is None:
            find_weights(init_from)  # what is wrong with the command is told before what is wrong with the data
        told = Path(data) if data is not None else found.data if found is not None else None
        folder = data_folder(told, run, found)
        training, watched = choose_subjects(find_subjects(folder), config.data)
        watched = readable(watched, config, said)
        state = starting_state(config, training, told, found, init_from, processes, said)
        if resume and found is None:
            said.warn(f"there is no run in {run} to go on with{runs_beside(run)}: a new one begins")
        if not watched:
            said.warn("nobody is watched: no scores will be told")
        keep_beginning(state, run, found, processes)
        with only_one(run, "trains in") if processes.main else nullcontext():
            trainer = _Trainer(config, run, state, watched, processes, said)
            said.info(
                f"{counted(len(training), 'subject')} to train on, {len(watched)} to watch, from {folder}; "
                f"{sum(p.numel() for p in state.model.parameters()) / 1e6:.2g} M weights, "
                f"{processes.count} x {processes.device}, {worker_count(config.data, processes)} loader processes"
            )
            metrics = trainer.run(batches(config, training, state.position, processes), stop)
            return TrainResult(run / "weights.safetensors", state.step, metrics, processes.main, stop.signal_number)


class _Trainer:
    """The loop of one process and what it needs."""

    def __init__(self, config: TrainConfig, run: Path, state: TrainingState, watched: list[RenderedSubject], processes: Processes, reporter: Reporter) -> None:
        self.config, self.folder, self.state, self.watched, self.processes, self.reporter = config, run, state, watched, processes, reporter
        self.log = MetricsLog(run, keep_until=state.step) if processes.main else None
        self.bad_items = BadItems(run / ("skipped.json" if processes.main else f"skipped-{processes.rank}.json"), reporter)
        self.averaged = copy.deepcopy(state.model).eval()
        self.pace = Pace()

    def run(self, source: Iterator[Batch], stop: StopRequest) -> dict[str, float]:
        """Train until the last step or a request to stop; returns the last validation's scores."""
        config, state = self.config, self.state
        metrics: dict[str, float] = {}
        note, stopping, saved = "", False, -1
        # What is left of a run is steps or, where the rate decays by it, time: then the bar counts percent, and the note says which step it is.
        by_time = config.optim.schedule == "time"

        def done() -> float:
            return 100 * state.progress if by_time else state.step

        with self.reporter.task("% of the time" if by_time else "training", 100 if by_time else config.steps) as bar:
            bar.advance(done())
            while state.step < config.steps and not stopping:
                before = done()
                with self.pace.waiting():
                    passes = [self.bad_items.check(next(source)) for _ in range(config.optim.accumulate)]
                logged = (state.step + 1) % config.log_every == 0
                values, stopping = _step(state, passes, config, self.processes, stop, with_scores=logged)
                self._explain_skip(values)
                self.pace.count(config.optim.batch_size * config.optim.accumulate * self.processes.count)
                if state.step % config.revive_every == 0 and state.progress < REVIVE_UNTIL:
                    state.keeper.revive(self.processes)
                if logged:
                    note = self._log_line(values)
                if state.step % config.validate_every == 0 or state.step == config.steps:
                    with self.pace.pause():
                        metrics, saved = self.validate_and_save(), state.step
                bar.advance(done() - before, f"step {state.step}  {note}" if by_time else note)
        if stopping:
            self._explain_stop(stop)
        elif config.optim.schedule == "time" and state.time_share < ALL_OF_IT:
            self.reporter.warn(f"the steps ended when {state.time_share:.0%} of the time was over: --max-steps 1000000 takes all of it")
        if saved != state.step:
            metrics = self.validate_and_save()
        if self.log is not None:
            self.log.close()
        return metrics

    def _log_line(self, values: dict[str, float]) -> str:
        """Log a step; returns the short text beside the progress bar."""
        state = self.state
        values = {**values, **state.keeper.health(), **self.pace.read(), "skipped": state.skipped}
        if self.log is not None:
            self.log.write(state.step, values)
        iou = f"  iou {values['iou']:.2f}" if "iou" in values else ""
        waits = f"  {values['data_wait']:.0%} waiting for data" if values["data_wait"] > 0.05 else ""
        skipped = f"  {state.skipped} skipped" if state.skipped else ""
        return f"loss {values['total']:.3f}{iou}  {values['images_per_s']:.1f} images/s{waits}{skipped}"

    def _explain_stop(self, stop: StopRequest) -> None:
        """Say why the run ends before its last step, and how it goes on; with a rate that decays over time the end of the time is its end."""
        by_time = self.config.optim.schedule == "time"
        if by_time and self.state.progress >= 1:
            self.reporter.info(f"the time is over, after {self.state.step} steps")
            return
        limit = " --limit-time TIME" if by_time else ""
        self.reporter.warn(f"stopped at step {self.state.step} ({stop.reason}); go on with: ncpifu train --resume -o {self.folder}{limit}")

    def _explain_skip(self, values: dict[str, float]) -> None:
        """Say why a step was left out, and count it: too many in a row end the run."""
        state = self.state
        odd = [name for name, value in values.items() if not math.isfinite(value)]
        if not odd:
            state.bad_steps = 0
            return
        self.reporter.warn(f"step {state.step} left out: {', '.join(odd)} not finite; the weights stay as they were")
        state.count_skip()

    def validate_and_save(self) -> dict[str, float]:
        """Score the averaged weights on the watched subjects; then weights, state and, when it is time, a picture go to disk.

        Within steps that are not finite nothing is saved: the weights may be what is wrong. The state is saved also when scoring fails.
        """
        state = self.state
        if state.bad_steps:
            self.reporter.warn(f"step {state.step} is not saved: the last {state.bad_steps} steps were not finite")
            return {}
        try:
            metrics = self._score_and_save_weights()
        except NcpifuError:
            if self.log is not None:
                state.save(self.folder / FILE_NAME)
            raise
        if self.log is None:
            return metrics
        state.save(self.folder / FILE_NAME)
        every, config = self.config.picture_every, self.config
        if every and self.watched and config.loss.occupancy > 0 and state.step // every > (state.step - config.validate_every) // every:
            self.log.picture(state.step, progress_picture(self.averaged, config, self.watched[: config.picture_subjects], self.processes.device))
        return metrics

    def _score_and_save_weights(self) -> dict[str, float]:
        state, config = self.state, self.config
        self.averaged.load_state_dict(state.average.shadow)
        metrics = validate(self.averaged, config, self.watched, self.processes) if self.watched else {}
        if self.log is None:
            return metrics
        meta: dict[str, Any] = {"steps": state.step, "images": state.position, "seed": config.seed, "validation": metrics}
        if self.watched and config.loss.occupancy > 0:
            meta["surface_logit"] = surface_logit(self.averaged, config, self.watched, self.processes.device)
            self.averaged.classifier.lower(meta["surface_logit"])
        save_weights(self.folder / "weights.safetensors", self.averaged, config.model, meta)
        if metrics:
            self.log.write(state.step, {f"val_{name}": value for name, value in metrics.items()})
            self.reporter.info(f"step {state.step}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
        return metrics


def _step(
    state: TrainingState, passes: list[dict[str, Tensor]], config: TrainConfig, processes: Processes, stop: StopRequest, with_scores: bool
) -> tuple[dict[str, float], bool]:
    """One optimiser step over one or more passes; weights stay as they are where loss or gradient is not finite.

    Returns the named loss terms (with scores where asked for), the length of the gradient and the learning rate, and whether any process was asked to stop.
    """
    model, device = state.model.train(), processes.device
    rate = state.set_learning_rate()
    sums: dict[str, Tensor] = {}
    reports: list[dict[str, CodebookReport]] = []
    count = config.optim.batch_size
    for number, batch in enumerate(passes):
        first = state.position + (number * processes.count + processes.rank) * count  # number of its first image in the run
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=config.optim.precision == "bfloat16"):
            terms, prediction = _forward(model, batch, config, first)
        (terms["total"] / len(passes)).backward()
        if with_scores and prediction is not None:
            terms |= {name: torch.tensor(value, device=device) for name, value in scores(prediction, batch["inside"]).items()}
        reports.append(prediction.codebooks if prediction is not None else {})
        sums = {name: sums.get(name, 0) + term.detach().float() / len(passes) for name, term in terms.items()}
    processes.average_gradients(model.parameters())
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
    # One message and one wait for the device: what is told and what is decided must be the same in every process.
    shared = processes.average(torch.stack([*sums.values(), norm, *torch.tensor([stop.time_share, float(stop.requested)], device=device)]))
    *told, time_share, stopping = shared.tolist()
    if all(math.isfinite(value) for value in told):
        state.optimizer.step()
        state.average.update(model, state.step)
        state.keeper.watch(reports, processes)
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    state.note_time(time_share)
    state.position += count * len(passes) * processes.count
    return {**dict(zip((*sums, "grad_norm"), told, strict=True)), "lr": rate}, stopping > 0


def _forward(model: Network, batch: dict[str, Tensor], config: TrainConfig, first: int = 0) -> tuple[dict[str, Tensor], Prediction | None]:
    """Named loss terms of one batch, whose first image is number `first` of the run, and what was predicted at its points: nothing when the encoder is trained
    alone."""
    if config.loss.occupancy == 0:
        return _encoder_terms(model.see(batch["image"]), batch, config), None
    features = model.encode(batch["image"], _told(batch["depth"], config, first))
    prediction = model.query(features, batch["points"])
    terms = loss(prediction, batch["inside"], config.loss)
    of_encoder = _encoder_terms(features.seen, batch, config)
    terms |= {**of_encoder, "total": terms["total"] + of_encoder["total"]}
    return terms, prediction


def _told(true_ndc: Tensor, config: TrainConfig, first: int) -> Tensor | None:
    """The surfaces that points are told of: true (B, L, h, w) for a share of the images, NaN for the others, which go by what is predicted.

    Which, their numbers in the run say (`first` is that of the first of them): passes and processes may share a step in any way.
    """
    share = config.true_surfaces
    if not config.model.surface_depth or not share:
        return None
    if share == 1:
        return true_ndc
    numbers = range(first, first + len(true_ndc))
    chosen = torch.tensor([math.floor((number + 1) * share) > math.floor(number * share) for number in numbers], device=true_ndc.device)
    return torch.where(chosen[:, None, None, None], true_ndc, math.nan)


def _encoder_terms(seen: Seen, batch: dict[str, Tensor], config: TrainConfig) -> dict[str, Tensor]:
    """The encoder's own loss: its terms and their weighted sum `total`."""
    terms = {"depth": depth_loss(seen.depth, batch["depth"], config.model.depth_scale, config.loss.gap)}
    total = config.loss.depth * terms["depth"]
    if config.loss.slope:
        terms["slope"] = slope_loss(seen.depth, batch["depth"], config.model.depth_scale)
        total = total + config.loss.slope * terms["slope"]
    if seen.camera is not None:
        terms["camera"] = camera_loss(seen.camera, batch["camera"])
        total = total + config.loss.camera * terms["camera"]
    return {"total": total, **terms}
