"""Asking a network about points without running out of memory: how many at a time, and what to do when it was too many after all."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter

if TYPE_CHECKING:
    from ncpifu_cli.stages.weights import LoadedModel

QUERY_FLOATS = 150_000_000  # floats of one layer of one query: bounds the memory (some layers live at once), whatever the profile
LAYERS_ALIVE = 6  # of one query at a time, measured as the growth of the process
SMALLEST = 1024  # points; fewer would not help


class Occupancy:
    """The network's answer at points (N, 3) NDC -> (N,) float32 probability, in halves where the memory is too short for all of them at once.

    Every point is answered for itself, so pieces cannot change the answer.
    """

    def __init__(self, model: "LoadedModel", features: Any, reporter: Reporter = SILENT) -> None:
        self._model, self._features, self._reporter = model, features, reporter
        self._most: int | None = None  # what was too many once is not tried again

    def __call__(self, points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._most is None or len(points_ndc) <= self._most:
            try:
                return self._ask(points_ndc)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                self._halve(len(points_ndc), error)
        middle = len(points_ndc) // 2
        return np.concatenate([self(points_ndc[:middle]), self(points_ndc[middle:])])

    def _ask(self, points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        points = torch.from_numpy(points_ndc).to(self._model.device)[None]
        return self._model.model.query(self._features, points).occupancy[0].cpu().numpy()

    def _halve(self, count: int, error: BaseException) -> None:
        import torch

        if count < 2 * SMALLEST:
            raise NcpifuError("out of memory", "close other programs, lower --resolution, or use --device cpu") from error
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        self._most = count // 2
        self._reporter.warn(f"memory is short: going on with {self._most} points at a time")


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out: torch has a class of its own on CUDA only."""
    import torch

    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(text in str(error) for text in ("not enough memory", "can't allocate memory", "Cannot allocate memory"))


def chunk_points(model: "LoadedModel", reporter: Reporter = SILENT) -> int:
    """Points per query: on a CPU few enough for its caches (16 k are 30 % faster than 64 k), never more than QUERY_FLOATS in the widest layer, and never
    more than fit into half of the memory that is free now."""
    config = model.config
    widest = max((*config.classifier, 2 * config.width + config.feature_channels, 2 * config.feature_channels))
    usual = min(16_384 if model.device.type == "cpu" else 131_072, max(4096, QUERY_FLOATS // widest))
    free = free_bytes(model)
    if free is None:
        return usual
    fitting = max(SMALLEST, int(free / 2 / (4 * widest * LAYERS_ALIVE)))
    if fitting < usual:
        reporter.warn(f"only {free / 2**20:.0f} MB of memory are free: asking the network about {fitting} points at a time")
    return min(usual, fitting)


def free_bytes(model: "LoadedModel") -> int | None:
    """Free memory of the model's device; None where the system does not tell."""
    import torch

    if model.device.type == "cuda":
        return torch.cuda.mem_get_info(model.device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        with open("/proc/self/statm", encoding="ascii") as line:
            used = int(line.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, StopIteration):  # not Linux
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return free if limit == resource.RLIM_INFINITY else max(0, min(free, limit - used))
