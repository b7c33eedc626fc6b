"""Asking a network about points without running out of memory: how many at a time, and what to do when it was too many after all."""

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.network_input import network_input
from ncpifu_cli.data.perspective import ORTHOGRAPHIC, Perspective
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter

if TYPE_CHECKING:
    from ncpifu_cli.stages.weights import LoadedModel

CPU_CHUNK = 8192  # points: more of them leave the caches of a core
QUERY_FLOATS = 150_000_000  # floats of one layer of one query: bounds the memory (some layers live at once), whatever the profile
LAYERS_ALIVE = 6  # of one query at a time, measured as the growth of the process
SMALLEST = 1024  # points; fewer would not help


class NetworkOccupancy:
    """The network's answer about one framed photo at points (N, 3) NDC -> (N,) float32 probability of being inside.

    Asked in pieces of `chunk` points, and of half as many wherever the memory turns out too short: every point is answered for itself, so pieces cannot
    change the answer. The photo is encoded in float32; points are answered in bfloat16 where the device computes it, which moves a surface by 0.05 mm in the
    mean.

    Args: image (S, S, 3) uint8 sRGB and coverage (S, S) float32, with S = model.config.image_size_px. both_ways: read the surfaces off the mirror image as
    well. Raises ValueError for other shapes.
    """

    def __init__(
        self, model: "LoadedModel", image: NDArray[np.uint8], coverage: NDArray[np.float32], reporter: Reporter = SILENT, both_ways: bool = True
    ) -> None:
        import torch

        from ncpifu_cli.stages.device import computes_bfloat16

        size = model.config.image_size_px
        if image.shape != (size, size, 3) or coverage.shape != (size, size):
            raise ValueError(f"these weights take {size} x {size} px; got image {image.shape}, mask {coverage.shape}")
        self._model, self._reporter = model, reporter
        self._bfloat16 = computes_bfloat16(model.device)
        with torch.inference_mode():
            self._features = model.model.encode(torch.from_numpy(network_input(image, coverage))[None].to(model.device), both_ways=both_ways)
        self.chunk = chunk_points(model, reporter)

    def gap_share(self, coverage: NDArray[np.float32]) -> float:
        """Share of the person's pixels, 0..1, behind whose first surface the network sees a gap and more of the person, as between a near and a far leg.

        Args: coverage (S, S), as encoded.
        """
        import torch

        from ncpifu_cli.models.blocks.depth_head import gap_within

        surfaces = self._features.seen.depth[-1, 0].float()
        if len(surfaces) == 2:
            return 0.0
        shown = torch.from_numpy(np.ascontiguousarray(coverage)).to(surfaces.device)
        person = torch.nn.functional.interpolate(shown[None, None], surfaces.shape[-2:], mode="area")[0, 0] > 0.5
        _, _, seen = gap_within(surfaces.movedim(0, -1), self._model.config.depth_scale)
        return float(seen[person].float().mean()) if person.any() else 0.0

    @property
    def perspective(self) -> Perspective:
        """The camera that the network thinks took the photo: orthographic where it does not tell."""
        camera = self._features.seen.camera
        return ORTHOGRAPHIC if camera is None else Perspective.from_parameters(camera[0].float().cpu().numpy())

    def __call__(self, points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        answers: list[NDArray[np.float32]] = []
        rest = points_ndc
        while len(rest) or not answers:
            try:
                answers.append(self._ask(rest[: self.chunk]))
                rest = rest[len(answers[-1]) :]
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                self._halve(error)
        return np.concatenate(answers)

    def _ask(self, points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode(), torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._bfloat16):
            points = torch.from_numpy(points_ndc).to(self._model.device)[None]
            return self._model.model.query(self._features, points).occupancy[0].float().cpu().numpy()

    def _halve(self, error: BaseException) -> None:
        import torch

        if self.chunk < 2 * SMALLEST:
            raise NcpifuError("out of memory", "close other programs, lower --resolution, or use --device cpu") from error
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        self.chunk //= 2
        self._reporter.warn(f"memory is short: going on with {self.chunk} points at a time")


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out: torch has a class of its own on CUDA only."""
    import torch

    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(text in str(error) for text in ("not enough memory", "can't allocate memory", "Cannot allocate memory"))


def chunk_points(model: "LoadedModel", reporter: Reporter = SILENT) -> int:
    """Points per query: on a CPU few enough for its caches, never more than QUERY_FLOATS in the widest layer, and never
    more than fit into half of the memory that is free now."""
    config = model.config
    widest = max((*config.classifier, 2 * config.width + config.feature_channels, 2 * config.feature_channels))
    usual = min(CPU_CHUNK if model.device.type == "cpu" else 131_072, max(4096, QUERY_FLOATS // widest))
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
