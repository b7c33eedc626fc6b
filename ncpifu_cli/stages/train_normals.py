"""Train the normal network on rendered people (docs/normals.md). One process; stops by steps or by time, whichever comes first."""

import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.normal_crops import NormalCrop, OppositeViews, draw_crops, find_opposite_views, whole_view
from ncpifu_cli.data.normal_net import NormalNet, load_normals, save_normals
from ncpifu_cli.models.ema import AveragedWeights
from ncpifu_cli.progress import SILENT, Reporter

WATCHED = 24  # views whose error is told
CROPS = 2  # of each view that is read: reading and turning it takes as long as learning from it


def train_normals(
    renders: Path,
    run: Path,
    *,
    watch: int = 4,
    start: Path | None = None,
    steps: int = 20_000,
    batch_size: int = 8,
    crop_px: int = 256,
    learning_rate: float = 2e-3,
    limit_seconds: float = math.inf,
    validate_every: int = 500,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Path:
    """Train on the subjects in `renders` that are not held out; every `validate_every` steps score the averaged weights on the last `watch` of them.

    Args:
        run: folder for normals.safetensors and metrics.jsonl. start: weights to go on from. limit_seconds: the learning rate falls to zero by then even if
            the steps are not done.

    Returns the weights file. Raises NcpifuError where there is nothing to train on.
    """
    torch.manual_seed(seed)
    net = (NormalNet() if start is None else load_normals(start)).train()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedWeights(net, 0.998)
    optimizer = torch.optim.AdamW(net.parameters(), lr=learning_rate, weight_decay=0.02, fused=True)
    training, watched = _split(find_opposite_views(renders), watch)
    backdrops, rng = Backdrops(None), np.random.default_rng(seed)
    began, running = time.monotonic(), 0.0
    with reporter.task("training", steps) as bar:
        for step in range(steps):
            progress = max(step / steps, (time.monotonic() - began) / limit_seconds)
            if progress >= 1:
                steps = step
                break
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
            views = (training[rng.integers(len(training))] for _ in range(-(-batch_size // CROPS)))
            image, normals = _tensors([crop for view in views for crop in draw_crops(view, CROPS, crop_px, rng, backdrops)])
            with torch.autocast("cpu", torch.bfloat16):
                predicted = net(image.contiguous(memory_format=torch.channels_last))
            value = normal_loss(predicted, normals)
            value.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update(net, step)
            running += (0.01 if step else 1.0) * (float(value.detach()) - running)
            bar.advance(1, f"loss {running:.3f}")
            if (step + 1) % validate_every == 0:
                _keep(run, average, step + 1, running, time.monotonic() - began, watched, reporter)
    return _keep(run, average, steps, running, time.monotonic() - began, watched, reporter)


def normal_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """One minus the cosine plus the absolute error, mean over the surface; the back, which is a guess, counts half.

    Both (B, 6, H, W), the true ones 0 beside the surface.
    """
    total = predicted.new_zeros(())
    for first, share in ((0, 1.0), (3, 0.5)):
        one, other = predicted[:, first : first + 3], true[:, first : first + 3]
        known = (other.square().sum(1, keepdim=True) > 0.5).float()
        error = (1 - (one * other).sum(1, keepdim=True)) + (one - other).abs().sum(1, keepdim=True)
        total = total + share * (error * known).sum() / known.sum().clamp_min(1)
    return total


def angles_deg(net: NormalNet, views: list[OppositeViews]) -> tuple[float, float]:
    """Mean angle between predicted and true normals, front and back, over whole untouched views."""
    sums, counts = np.zeros(2), np.zeros(2)
    for view in views:
        image, normals = _tensors([whole_view(view)])
        with torch.inference_mode():
            predicted = net(image)
        for side in range(2):
            one, other = predicted[0, 3 * side : 3 * side + 3], normals[0, 3 * side : 3 * side + 3]
            known = other.square().sum(0) > 0.5
            sums[side] += float(torch.rad2deg((one * other).sum(0).clamp(-1, 1).acos())[known].sum())
            counts[side] += int(known.sum())
    front, back = sums / np.maximum(counts, 1)
    return float(front), float(back)


def _split(views: list[OppositeViews], watch: int) -> tuple[list[OppositeViews], list[OppositeViews]]:
    """(training, watched): the last subjects' views are watched, some of them."""
    folders = sorted({view.rgb.parent.parent for view in views})
    kept_out = set(folders[len(folders) - watch :]) if watch < len(folders) else set()
    watched = [view for view in views if view.rgb.parent.parent in kept_out]
    return [view for view in views if view.rgb.parent.parent not in kept_out], watched[:: max(1, len(watched) // WATCHED)]


def _tensors(crops: list[NormalCrop]) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.stack([crop.image for crop in crops])), torch.from_numpy(np.stack([crop.normals for crop in crops]))


def _keep(run: Path, average: AveragedWeights, step: int, loss: float, seconds: float, watched: list[OppositeViews], reporter: Reporter) -> Path:
    net = NormalNet()
    net.load_state_dict(average.shadow)
    front, back = angles_deg(net.eval(), watched)
    row = {"step": step, "loss": round(loss, 4), "front_deg": round(front, 2), "back_deg": round(back, 2), "minutes": round(seconds / 60, 1)}
    reporter.info(", ".join(f"{name} {value}" for name, value in row.items()))
    save_normals(run / "normals.safetensors", net, row)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return run / "normals.safetensors"
