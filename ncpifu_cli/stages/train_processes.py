"""Several processes that train one network: torchrun starts them, gradients are averaged over them. One process is the same code with nothing to average."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.device import pick_device


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes: rank (0 .. count - 1), count, device: where this process computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def average(self, values: Tensor) -> Tensor:
        """The mean of a tensor over all processes, in every process; the tensor itself is overwritten."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average all gradients in one message. Every process must have gradients for the same parameters, as the same graph gives."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.average(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def from_main(self, values: Tensor) -> Tensor:
        """The main process's tensor in every process; the tensor itself is overwritten."""
        if self.count > 1:
            dist.broadcast(values, 0)
        return values

    def main_says(self, what: bool) -> bool:
        """The main process's answer in every process."""
        return bool(self.from_main(torch.tensor(float(what), device=self.device)))


@contextmanager
def join_processes(device: str = "auto") -> Iterator[Processes]:
    """The processes of this run for the length of a `with` block: those that torchrun started (one per GPU, or per CPU share), else this one alone.

    Raises NcpifuError for a device that is not there.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    where = pick_device(device)
    if count == 1:
        yield Processes(0, 1, where)
        return
    if where.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise NcpifuError(f"process {local} of this machine has no GPU of its own", "start at most as many processes per machine as it has GPUs")
        where = torch.device("cuda", local)
        torch.cuda.set_device(where)
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), count, where)
    finally:
        dist.destroy_process_group()
