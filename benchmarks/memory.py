"""Peak memory of a training step without running it: shapes are propagated, nothing is computed, so any batch can be asked for on any machine.

    python benchmarks/memory.py [--config paper] [--batches 2 8] [--rows full pifu]

Prints a Markdown table of the tensors alive at most (weights, gradients, activations kept for the backward pass, optimiser), in GiB, in float32 and under
bfloat16 autocast with the rules of the CPU. A GPU's allocator and its convolution workspaces come on top; its autocast keeps normalisations in float32, so
its need lies between the two.
"""

import argparse
import warnings
import weakref
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from training import random_batch  # its neighbour in this folder

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.models.build import build
from ncpifu_cli.stages.train import _forward


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of every storage from its first sight to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, storage.nbytes())

    def _gone(self, size: int) -> None:
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.see(leaf)
        return result


def peak_gib(config: TrainConfig, batch: int, bfloat16: bool) -> float:
    """GiB at the peak of forward and backward pass with AdamW's two moments present."""
    with FakeTensorMode():
        network = build(config.model).train()
        items = random_batch(config, batch)
        moments = [torch.zeros_like(parameter) for parameter in network.parameters() for _ in range(2)]
        with PeakMemory() as memory:
            for tensor in (*network.parameters(), *items.values(), *moments):
                memory.see(tensor)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                terms, _ = _forward(network, items, config)
            terms["total"].backward()
    return memory.peak / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="paper")
    parser.add_argument("--batches", nargs="*", type=int, default=[2, 8])
    parser.add_argument("--rows", nargs="*", default=["full", "pifu"], help="ablations")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.bincount = lambda index, minlength: torch.zeros(minlength)  # type: ignore[assignment]  # its result depends on data, its size here does not
    print(f"| {options.config}: network | batch | float32 (GiB) | bfloat16 (GiB) |\n|---|---|---|---|")
    for ablation in options.rows:
        for batch in options.batches:
            config = load(TrainConfig, options.config, ablation=ablation)
            print(f"| {ablation} | {batch} | {peak_gib(config, batch, False):.1f} | {peak_gib(config, batch, True):.1f} |", flush=True)


if __name__ == "__main__":
    main()
