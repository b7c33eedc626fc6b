"""What a run tells: metrics.csv, TensorBoard, and the pace of the work."""

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.errors import NcpifuError

COLUMNS = ["step", "seconds", "name", "value"]


class MetricsLog:
    """metrics.csv in long form (step, seconds of training, name, value), and TensorBoard beside it where it is installed.

    A resumed run repeats the steps after its checkpoint, so what they had logged is dropped: `keep_until` is the checkpoint's step.
    """

    def __init__(self, run: Path, keep_until: int) -> None:
        self._path = run / "metrics.csv"
        rows = self._rows_until(keep_until)
        self._before = float(rows[-1][1]) if rows else 0.0
        self._begun = time.monotonic()
        with _disk_errors(self._path), atomic_path(self._path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
        self._board = self._open_board(run, keep_until)

    def _rows_until(self, step: int) -> list[list[str]]:
        if step == 0 or not self._path.exists():
            return []
        with open(self._path, newline="", encoding="utf-8") as file:
            return [row for row in list(csv.reader(file))[1:] if len(row) == len(COLUMNS) and int(row[0]) <= step]

    @staticmethod
    def _open_board(run: Path, keep_until: int) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return None
        return SummaryWriter(str(run / "tensorboard"), purge_step=keep_until + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append values at a step. Raises NcpifuError when the disk is full."""
        seconds = self._before + time.monotonic() - self._begun
        with _disk_errors(self._path):
            with open(self._path, "a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([[step, f"{seconds:.1f}", name, f"{value:.6g}"] for name, value in values.items()])
            if self._board is not None:
                for name, value in values.items():
                    self._board.add_scalar(name, value, step)

    def picture(self, step: int, picture: NDArray[np.uint8]) -> None:
        """Keep an (H, W, 3) RGB picture in pictures/ and show it in TensorBoard. Raises NcpifuError when the disk is full."""
        path = self._path.parent / "pictures" / f"step-{step:06d}.png"
        with _disk_errors(path):
            with atomic_path(path) as temporary:
                temporary.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
            if self._board is not None:
                self._board.add_image("watched", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Write out what TensorBoard still holds back."""
        if self._board is not None:
            with _disk_errors(self._path.parent / "tensorboard"):
                self._board.close()


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NcpifuError(f"cannot write {path}: {error.strerror or error}", "free some space and go on with --resume") from error


class Pace:
    """Images per second and the share of the time spent waiting for data, between two readings; pauses (validation, saving) do not count."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._images = 0
        self._waited = self._paused = 0.0
        self._begun = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for data."""
        begun = time.perf_counter()
        yield
        self._waited += time.perf_counter() - begun

    @contextmanager
    def pause(self) -> Iterator[None]:
        """The block is not training."""
        begun = time.perf_counter()
        yield
        self._paused += time.perf_counter() - begun

    def count(self, images: int) -> None:
        """So many images were trained on."""
        self._images += images

    def read(self) -> dict[str, float]:
        """images_per_s, data_wait (0..1) and the peak memory_mb; starts anew."""
        seconds = max(time.perf_counter() - self._begun - self._paused, 1e-9)
        values = {"images_per_s": self._images / seconds, "data_wait": self._waited / seconds, "memory_mb": peak_memory_mb()}
        self._start()
        return values


def peak_memory_mb() -> float:
    """Most memory so far: of the GPU where one computes, else of this process."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    if sys.platform == "win32":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
