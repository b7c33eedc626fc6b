"""The loop that trains the project's small picture networks (masks, normals, backs): one process, averaged weights, until the steps or the time are used up."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.ema import AveragedWeights
from ncpifu_cli.progress import Reporter
from ncpifu_cli.stages.train_state import decay

WARMUP = 200  # steps
Tensors = dict[str, Tensor]
Net = TypeVar("Net", bound=nn.Module)


def fit(
    net: nn.Module,
    draw: Callable[[], tuple[Tensor, ...]],
    loss: Callable[..., Tensor],
    keep: Callable[[Tensors, dict[str, Any]], Path],
    *,
    steps: int,
    learning_rate: float,
    limit_seconds: float,
    validate_every: int,
    reporter: Reporter,
) -> Path:
    """Train `net`; every `validate_every` steps and at the end `keep` stores the averaged weights.

    Args:
        draw: a batch, the pictures (B, C, H, W) first. loss: (answer, *rest of the batch) -> (). keep: (averaged weights, step, loss and minutes) -> file.
        limit_seconds: the learning rate falls to zero by then even if the steps are not done.

    Returns the last file that was kept.
    """
    net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = AveragedWeights(net, 0.998)
    optimizer = torch.optim.AdamW(net.parameters(), lr=learning_rate, weight_decay=0.02, fused=True)
    began, running, step = time.monotonic(), 0.0, 0

    def told() -> dict[str, Any]:
        return {"step": step, "loss": round(running, 4), "minutes": round((time.monotonic() - began) / 60, 1)}

    with reporter.task("training", steps) as bar:
        while True:
            progress = max(step / steps, (time.monotonic() - began) / limit_seconds)
            if progress >= 1:
                return keep(average.shadow, told())
            if step and step % validate_every == 0:
                keep(average.shadow, told())
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, (step + 1) / WARMUP) * decay(progress)
            pictures, *truth = draw()
            with torch.autocast("cpu", torch.bfloat16):
                answer = net(pictures.contiguous(memory_format=torch.channels_last))
            value = loss(answer.float(), *truth)
            value.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update(net, step)
            running += (0.01 if step else 1.0) * (float(value.detach()) - running)
            if not math.isfinite(running):
                raise NcpifuError(f"the loss is no number at step {step + 1}; what was kept last stays", "lower the learning rate, or start from other weights")
            step += 1
            bar.advance(1, f"loss {running:.3f}")


def keeper(
    make: Callable[[], Net], score: Callable[[Net], dict[str, float]], save: Callable[[Path, Net, dict[str, Any]], None], file: Path, reporter: Reporter
) -> Callable[[Tensors, dict[str, Any]], Path]:
    """What `fit` keeps by: the network with the averaged weights is scored, stored as `file` with its scores in the header, and told."""

    def keep(weights: Tensors, row: dict[str, Any]) -> Path:
        net = make()
        net.load_state_dict(weights)
        net.eval()
        row = {**row, **score(net)}
        save(file, net, row)
        tell(file.parent, row, reporter)
        return file

    return keep


def tell(run: Path, row: dict[str, Any], reporter: Reporter) -> None:
    """A line for the reader and for `metrics.jsonl`."""
    reporter.info(", ".join(f"{name} {value}" for name, value in row.items()))
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
