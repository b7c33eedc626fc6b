"""Codebook care while training: watch how codes are used, revive those that nobody uses (method section 3)."""

import torch
from torch import Tensor, nn

from ncpifu_cli.models.api import CodebookReport
from ncpifu_cli.models.blocks.codebook import Codebook, perplexity
from ncpifu_cli.stages.train_processes import Processes


class CodebookKeeper:
    """A moving average of each codebook's usage, the same in every process."""

    MEMORY = 0.9  # of the moving average of usage
    DEAD = 0.1  # a code used less than this fraction of its fair share is dead

    def __init__(self, model: nn.Module) -> None:
        branches = {"local": getattr(model, "local_branch", None), "global": getattr(model, "global_branch", None)}
        self._books = {name: branch.codebook for name, branch in branches.items() if branch is not None and isinstance(branch.codebook, Codebook)}
        self.usage: dict[str, Tensor] = {}
        self._last: dict[str, CodebookReport] = {}

    def watch(self, passes: list[dict[str, CodebookReport]], processes: Processes) -> None:
        """Take in the reports of one step's passes."""
        self._last = passes[-1]
        for name in self._last:
            usage, old = processes.average(torch.stack([reports[name].usage for reports in passes]).mean(dim=0)), self.usage.get(name)
            self.usage[name] = usage if old is None else self.MEMORY * old + (1 - self.MEMORY) * usage

    def health(self) -> dict[str, float]:
        """Codes in use, perplexity and gate openness by branch."""
        values: dict[str, float] = {}
        for name, usage in self.usage.items():
            values[f"{name}_codes"] = float((usage > self.DEAD / len(usage)).sum())
            values[f"{name}_perplexity"] = float(perplexity(usage))
            values[f"{name}_open"] = float(self._last[name].openness) if name in self._last else 0.0
        return values

    def revive(self, processes: Processes) -> dict[str, int]:
        """Move dead codes to where the main process's data is; returns how many in each branch."""
        moved = {}
        for name, book in self._books.items():
            if name in self._last:
                samples = processes.from_main(self._last[name].samples.clone())
                moved[name] = book.revive(self.usage[name] < self.DEAD / len(self.usage[name]), samples)
        return moved
