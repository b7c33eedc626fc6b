"""Train the matting network on composites of our own rendered people (docs/matting.md). One process; stops by steps or by time, whichever comes first."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.composites import Composite, Compositor, find_views
from ncpifu_cli.data.matting_net import MattingNet, load_matting, save_matting
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.train_pictures import fit, keeper

Shapes = tuple[tuple[int, int], ...]  # height, width of the batches: all aspects, multiples of 32
COARSE: Shapes = ((128, 96), (160, 96), (96, 96), (96, 128), (128, 64), (128, 128))  # twice as fast: what a person looks like is learnt here first
FINE: Shapes = ((160, 128), (192, 128), (128, 128), (128, 160), (192, 96), (160, 160))  # about what is looked at when masking
Batch = tuple[Tensor, Tensor, Tensor]


def train_matting(
    renders: Path,
    run: Path,
    *,
    backgrounds: Path | None = None,
    held_out_backgrounds: Path | None = None,
    start: Path | None = None,
    shapes: Shapes = FINE,
    steps: int = 6000,
    batch_size: int = 8,
    learning_rate: float = 1.5e-3,
    limit_seconds: float = math.inf,
    validate_every: int = 500,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Path:
    """Train on the `train-` subjects in `renders`; every `validate_every` steps score the averaged weights on the `test-` subjects before other backgrounds.

    Args:
        run: folder for matting.safetensors and metrics.jsonl. backgrounds, held_out_backgrounds: photographs (see `Backdrops`).
        start: weights to go on from. shapes: COARSE first, then FINE. limit_seconds: the learning rate falls to zero by then even if the steps are not done.

    Returns the weights file. Raises NcpifuError where there is nothing to train on.
    """
    torch.manual_seed(seed)
    batches = _batches(Compositor(find_views(renders), Backdrops(backgrounds)), np.random.default_rng(seed), batch_size, shapes)
    families = None if held_out_backgrounds is None else ()
    views, backdrops = find_views(renders, held_out=True), Backdrops(held_out_backgrounds, families)

    def scores(net: MattingNet) -> dict[str, float]:
        found = validation_iou(net, Compositor(views, backdrops, pool=64))  # a new one each time: its pool changes what is drawn
        return {"iou_mean": round(float(np.mean(found)), 4), "iou_median": round(float(np.median(found)), 4)}

    return fit(
        MattingNet() if start is None else load_matting(start),
        lambda: next(batches),
        matting_loss,
        keeper(MattingNet, scores, save_matting, run / "matting.safetensors", reporter),
        steps=steps,
        learning_rate=learning_rate,
        limit_seconds=limit_seconds,
        validate_every=validate_every,
        reporter=reporter,
    )


def matting_loss(logits: Tensor, alpha: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy with soft targets plus one minus the soft intersection over union of each picture; all (B, 1, H, W)."""
    entropy = (F.binary_cross_entropy_with_logits(logits, alpha, reduction="none") * weight).mean()
    found, alpha = torch.sigmoid(logits) * weight, alpha * weight
    both = (found * alpha).sum((1, 2, 3))
    either = (found + alpha).sum((1, 2, 3)) - both
    return 2 * entropy + (1 - (both + 50) / (either + 50)).mean()


def validation_iou(net: MattingNet, compositor: Compositor, count: int = 120, seed: int = 1) -> list[float]:
    """Intersection over union at 0.5 on `count` composites that are a function of the seed, those without people left out."""
    rng, scores = np.random.default_rng(seed), []
    for index in range(count):
        image, alpha, weight = _tensors([compositor.draw(rng, *FINE[index % len(FINE)])])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            found = (net(image) > 0) & (weight > 0.5)
        truth = (alpha > 0.5) & (weight > 0.5)
        if truth.sum() > 50:
            scores.append(float((found & truth).sum() / (found | truth).sum()))
    return scores


def _batches(compositor: Compositor, rng: np.random.Generator, size: int, shapes: Shapes, kept: int = 1500) -> Iterator[Batch]:
    """Endless batches of one shape each: one picture in eight is new, the others were seen before, as drawing costs more than learning."""
    seen: list[list[Composite]] = [[] for _ in shapes]
    while True:
        shape = int(rng.integers(len(shapes)))
        buffer = seen[shape]
        fresh = size if len(buffer) < 2 * size else max(1, size // 8)
        new = [compositor.draw(rng, *shapes[shape]) for _ in range(fresh)]
        chosen = new + [buffer[rng.integers(len(buffer))] for _ in range(size - fresh)]
        buffer += new
        del buffer[: max(0, len(buffer) - kept)]
        image, alpha, weight = _tensors(chosen)
        yield (image.flip(3), alpha.flip(3), weight.flip(3)) if rng.random() < 0.5 else (image, alpha, weight)


def _tensors(composites: list[Composite]) -> Batch:
    image = torch.from_numpy(np.stack([c.rgb for c in composites])).permute(0, 3, 1, 2).float() / 127.5 - 1
    alpha, weight = (torch.from_numpy(np.stack(maps).astype(np.float32))[:, None] for maps in zip(*((c.alpha, c.weight) for c in composites), strict=True))
    return image, alpha, weight
