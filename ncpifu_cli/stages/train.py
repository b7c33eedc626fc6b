"""`train`: rendered subjects -> weights. The loop; data, network and losses live elsewhere."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ncpifu_cli.artifacts import write_json
from ncpifu_cli.config.base import dump
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, RenderedSubject, find_subjects
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.api import Prediction
from ncpifu_cli.models.build import Network, build
from ncpifu_cli.models.checkpoint import save_weights
from ncpifu_cli.models.losses import depth_error_cm, depth_loss, loss, scores
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.device import pick_device
from ncpifu_cli.stages.training import MetricsLog, TrainingState, in_background, learning_rate
from ncpifu_cli.stages.warm_start import warm_start


@dataclass(frozen=True)
class TrainResult:
    """What a run left behind.

    Attributes: weights: averaged weights to use. steps done. metrics: the last validation's scores by name.
    """

    weights: Path
    steps: int
    metrics: dict[str, float]


def train(
    config: TrainConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init_from: str | Path | None = None,
    device: str = "auto",
    limit_seconds: float | None = None,
    reporter: Reporter = SILENT,
) -> TrainResult:
    """Train a network on the subjects in `data` and keep everything in the folder `run`.

    Writes config.json, metrics.csv, last.safetensors (the whole state, to resume from) and weights.safetensors (averaged, to use). Batch k is
    a function of (seed, k), so a resumed run goes on with the very batches it would have seen. Ctrl-C or the time limit end with a checkpoint.
    A new run starts from fresh weights, or from what fits of the weights `init_from` (a file or a released name).

    Raises NcpifuError when there is nothing to train on, when `run` holds another run, or when the loss stops being finite.
    """
    where = pick_device(device)
    if where.type == "cpu":
        torch.set_num_threads(config.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    model = build(config.model).to(where)
    if init_from is not None and not (resume and (run / "last.safetensors").exists()):
        reporter.info(str(warm_start(model, init_from)))
    state = TrainingState.start(model, config, run / "last.safetensors", resume=resume)
    training, validation = split_subjects(find_subjects(data), config.data.validation_subjects)
    reporter.info(
        f"{len(training)} subjects to train on, {len(validation)} to watch, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M weights, {where}"
    )
    write_json(run / "config.json", dump(config))
    log = MetricsLog(run, keep_until=state.step)
    batches = _batches(config, training, start=state.step, device=where)
    deadline = time.monotonic() + limit_seconds if limit_seconds is not None else None
    metrics: dict[str, float] = {}
    saved = -1
    with reporter.task("training", config.steps) as bar:
        bar.advance(state.step)
        try:
            while state.step < config.steps and (deadline is None or time.monotonic() < deadline):
                waited = time.monotonic()
                batch = next(batches)
                waited = time.monotonic() - waited
                terms = _step(state, batch, config)
                if state.step % config.log_every == 0:
                    log.write(
                        state.step, {**terms, **state.keeper.health(), "wait_s": waited, "lr": learning_rate(config, state.step)}, config.optim.batch_size
                    )
                if state.step % config.revive_every == 0 and state.step < 0.75 * config.steps:
                    state.keeper.revive()
                if state.step % config.validate_every == 0 or state.step == config.steps:
                    metrics, saved = _validate_and_save(state, config, validation, run, log, reporter), state.step
                bar.advance(1, f"loss {terms['total']:.3f}")
        except KeyboardInterrupt:
            reporter.warn(f"stopped at step {state.step}; go on with --resume")
    if saved != state.step:
        metrics = _validate_and_save(state, config, validation, run, log, reporter)
    return TrainResult(run / "weights.safetensors", state.step, metrics)


def split_subjects(subjects: list[RenderedSubject], watched: int) -> tuple[list[RenderedSubject], list[RenderedSubject]]:
    """(training, validation): every k-th subject is watched, none is both."""
    if watched == 0:
        return subjects, []
    if len(subjects) <= watched:
        raise NcpifuError(f"{len(subjects)} subjects are too few to keep {watched} for validation", "render more, or --set data.validation_subjects=0")
    stride = len(subjects) // watched
    chosen = set(range(stride - 1, stride * watched, stride))
    return [s for i, s in enumerate(subjects) if i not in chosen], [subjects[i] for i in sorted(chosen)]


def _batches(config: TrainConfig, subjects: list[RenderedSubject], start: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
    size = config.optim.batch_size
    dataset = RenderDataset(subjects, config.data, config.model.image_size_px, config.seed, config.steps * size)
    order = range(start * size, config.steps * size)
    workers = config.data.workers
    loader = DataLoader(
        dataset, size, sampler=order, num_workers=workers, multiprocessing_context="spawn" if workers else None, pin_memory=device.type == "cuda"
    )
    return in_background(iter(loader)) if workers == 0 else iter(loader)


def _step(state: TrainingState, batch: dict[str, Tensor], config: TrainConfig) -> dict[str, float]:
    """One optimiser step; returns the named loss terms."""
    model, device = state.model.train(), state.device
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.optim.precision == "bfloat16"):
        terms, prediction = _forward(model, {name: tensor.to(device) for name, tensor in batch.items()}, config)
    terms["total"].backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
    finite = bool(torch.isfinite(norm)) and bool(torch.isfinite(terms["total"]))
    if finite:
        state.optimizer.step()
        state.average.update(model, state.step)
    state.count_skip(finite)
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    values = {name: float(term.detach()) for name, term in terms.items()} | {"grad_norm": float(norm)}
    if prediction is None:
        return values
    state.keeper.watch(prediction.codebooks)
    return values | scores(prediction, batch["inside"].to(device))


def _forward(model: Network, batch: dict[str, Tensor], config: TrainConfig) -> tuple[dict[str, Tensor], Prediction | None]:
    """Named loss terms of one batch, and what was predicted at its points: nothing when the encoder is trained alone."""
    if config.loss.occupancy == 0:
        depth = depth_loss(model.encode_depth(batch["image"]), batch["depth"], config.model.depth_scale)
        return {"total": config.loss.depth * depth, "depth": depth}, None
    features = model.encode(batch["image"])
    prediction = model.query(features, batch["points"])
    terms = loss(prediction, batch["inside"], config.loss)
    terms["depth"] = depth_loss(features.depth, batch["depth"], config.model.depth_scale)
    terms["total"] = terms["total"] + config.loss.depth * terms["depth"]
    return terms, prediction


def _validate_and_save(
    state: TrainingState, config: TrainConfig, subjects: list[RenderedSubject], run: Path, log: MetricsLog, reporter: Reporter
) -> dict[str, float]:
    averaged = build(config.model).to(state.device)
    averaged.load_state_dict(state.average.shadow)
    metrics = validate(averaged.eval(), config, subjects, state.device) if subjects else {}
    state.save(run / "last.safetensors")
    save_weights(run / "weights.safetensors", averaged, config.model, {"steps": state.step, "seed": config.seed, "validation": metrics})
    if metrics:
        log.write(state.step, {f"val_{name}": value for name, value in metrics.items()}, None)
        reporter.info(f"step {state.step}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    return metrics


@torch.inference_mode()
def validate(model: Network, config: TrainConfig, subjects: list[RenderedSubject], device: torch.device) -> dict[str, float]:
    """Loss, IoU, precision and recall at sampled points of fixed, unaugmented views of `subjects`, which are never trained on."""
    count = len(subjects) * config.data.validation_views
    dataset = RenderDataset(subjects, config.data, config.model.image_size_px, seed=config.seed + 7919, length=count, augment=False)
    sums: dict[str, float] = {}
    for index in range(count):
        item = dataset[index]
        inside = item["inside"][None].to(device)
        features = model.encode(item["image"][None].to(device))
        prediction = model.query(features, item["points"][None].to(device))
        values = {"occupancy": float(loss(prediction, inside, config.loss)["occupancy"]), **scores(prediction, inside)}
        values |= {"depth_cm": depth_error_cm(features.depth[-1], item["depth"][None].to(device), config.model.depth_scale)}
        sums = {name: sums.get(name, 0.0) + value for name, value in values.items()}
    return {name: value / count for name, value in sums.items()}
