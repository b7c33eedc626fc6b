"""Batches for the trainer: which images, loaded by whom, and what happens to broken ones."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from ncpifu_cli.artifacts import read_json, write_json
from ncpifu_cli.config.train import DataConfig, TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, RenderedSubject
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import Reporter, counted
from ncpifu_cli.stages.train_processes import Processes

T = TypeVar("T")
TRIES = 20  # items tried in place of a broken one
LEAP = 7_368_787  # a prime: the items tried next are of other epochs, so as a rule of other subjects
MOST_WORKERS = 16


class Batch(NamedTuple):
    """Collated items, and the reasons of those that could not be read (one of them for nothing: then `tensors` is empty)."""

    tensors: dict[str, Tensor]
    problems: list[NcpifuError]


def choose_subjects(subjects: list[RenderedSubject], config: DataConfig) -> tuple[list[RenderedSubject], list[RenderedSubject]]:
    """(training, watched): the subjects named by `watch`, else every k-th, are watched, none is both; with `overfit` N the first N are both."""
    if config.overfit:
        return subjects[: config.overfit], subjects[: config.overfit]
    if config.watch:
        missing = sorted(set(config.watch) - {subject.name for subject in subjects})
        if missing:
            raise NcpifuError(f"data.watch names subjects that are not there: {', '.join(missing)}", "check the names, or render these subjects")
        training = [s for s in subjects if s.name not in config.watch]
        if not training:
            raise NcpifuError("data.watch names every subject: none is left to train on", "render more, or watch fewer")
        return training, [s for s in subjects if s.name in config.watch]
    watched = config.validation_subjects
    if watched == 0:
        return subjects, []
    if len(subjects) <= watched:
        fewer = min(len(subjects) - 1, max(1, len(subjects) // 5))
        raise NcpifuError(
            f"{counted(len(subjects), 'subject')}: too few to keep {watched} for validation", f"render more, or --set data.validation_subjects={fewer}"
        )
    stride = len(subjects) // watched
    chosen = set(range(stride - 1, stride * watched, stride))
    return [s for i, s in enumerate(subjects) if i not in chosen], [subjects[i] for i in sorted(chosen)]


def batches(config: TrainConfig, subjects: list[RenderedSubject], position: int, processes: Processes) -> Iterator[Batch]:
    """Endless batches of this process, from image number `position` of the run on.

    Image number i is a function of (seed, i). A pass of W processes over B images each takes the next W B numbers, process r the r-th B of them: the
    images of a step do not depend on how many processes share it.
    """
    size = config.optim.batch_size
    network = config.model
    items = RenderDataset(
        subjects,
        config.data,
        network.image_size_px,
        config.seed,
        config.steps * size,
        depth_stride=network.depth_stride,
        depth_layers=network.depth_layers,
        augment=not config.data.overfit,
    )
    workers = worker_count(config.data, processes)
    loader = DataLoader(
        _Tolerant(items, config.data.skip_bad),
        batch_sampler=_Share(position + processes.rank * size, processes.count * size, size),  # type: ignore[arg-type]
        collate_fn=_collate,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_start_worker if workers else None,
        pin_memory=processes.device.type == "cuda",
    )
    return iter(loader) if workers else in_background(iter(loader))


def worker_count(config: DataConfig, processes: Processes) -> int:
    """Loader processes of each training process: as configured, or by itself one per spare core beside a GPU and none beside a CPU."""
    if config.workers >= 0:
        return config.workers
    if processes.device.type == "cpu":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_WORKERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


@dataclass(frozen=True)
class _Share:
    """Batch sampler: `size` consecutive numbers, again every `stride` from `first` on, without end."""

    first: int
    stride: int
    size: int

    def __iter__(self) -> Iterator[range]:
        begin = self.first
        while True:
            yield range(begin, begin + self.size)
            begin += self.stride


class _Tolerant(Dataset[tuple[dict[str, Tensor], list[NcpifuError]]]):
    """(item, problems): errors travel as values, since a worker process would mangle them; with `skip_bad` another item replaces a broken one."""

    def __init__(self, items: RenderDataset, skip_bad: bool) -> None:
        self.items, self.tries = items, TRIES if skip_bad else 1

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], list[NcpifuError]]:
        problems: list[NcpifuError] = []
        for attempt in range(self.tries):
            try:
                return self.items[index + attempt * LEAP], problems
            except NcpifuError as error:
                problems.append(error)
        return {}, problems


def _collate(items: list[tuple[dict[str, Tensor], list[NcpifuError]]]) -> Batch:
    problems = [problem for _, found in items for problem in found]
    return Batch(default_collate([item for item, _ in items]) if all(item for item, _ in items) else {}, problems)


def _start_worker(_number: int) -> None:
    # A session of its own: Ctrl-C and signals to the process group reach the trainer alone, which decides when loading ends.
    if hasattr(os, "setsid"):
        os.setsid()
    cv2.setNumThreads(1)


class BadItems:
    """Tells and lists every broken item once (`skipped.json` in the run's folder; other processes' `skipped-RANK.json`), or ends the run at the first."""

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path, self._reporter = path, reporter
        self._seen: set[str] = set(read_json(path)) if path.is_file() else set()  # a resumed run goes on with its list

    def check(self, batch: Batch) -> dict[str, Tensor]:
        """The batch's tensors. Raises the item's own NcpifuError when there are none."""
        if not batch.tensors:
            raise batch.problems[0]
        new = {problem.message for problem in batch.problems} - self._seen
        if new:
            self._seen |= new
            write_json(self._path, sorted(self._seen))
            for message in sorted(new):
                self._reporter.warn(f"skipped: {message}")
        return batch.tensors


def in_background(items: Iterator[T], ahead: int = 2) -> Iterator[T]:
    """Iterate in a thread, `ahead` items before they are asked for; errors surface at the item they belong to."""
    done, pool = object(), ThreadPoolExecutor(1)
    try:
        waiting = [pool.submit(next, items, done) for _ in range(ahead)]
        while True:
            item = waiting.pop(0).result()
            if item is done:
                return
            waiting.append(pool.submit(next, items, done))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # without waiting: the generator may be closed from the pool's own thread
