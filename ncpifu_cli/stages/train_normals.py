"""Train the normal network on rendered people (docs/normals.md). One process; stops by steps or by time, whichever comes first."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.framing import head_rows
from ncpifu_cli.data.network_input import DETAIL_PX
from ncpifu_cli.data.normal_crops import NormalCrop, draw_crops, whole_view
from ncpifu_cli.data.normal_net import NormalNet, NormalNets, load_normals, save_normals
from ncpifu_cli.data.normals import normals_seen
from ncpifu_cli.data.opposite_views import OppositeViews, find_opposite_views, read_drawn
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.train_pictures import fit, keeper

WATCHED = 24  # views whose error is told
RELIEF = 4.0  # makes the steps of the error count as much as the error itself, for the weights of the first release
CROPS, CLOSE_CROPS = 4, 8  # of each view that is read: reading and turning it takes longer than learning from a crop


def train_normals(
    renders: Path,
    run: Path,
    *,
    watch: int = 4,
    start: Path | None = None,
    steps: int = 20_000,
    batch_size: int = 16,
    crop_px: int = 192,
    view_px: int = DETAIL_PX,
    close_renders: Path | None = None,
    learning_rate: float = 2e-3,
    limit_seconds: float = math.inf,
    validate_every: int = 500,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Path:
    """Train on the subjects in `renders` that are not held out; every `validate_every` steps score the averaged weights on the last `watch` of them, or of
    those in `close_renders`, which are not trained on.

    Args:
        run: folder for normals.safetensors and metrics.jsonl. start: weights to go on from; their network of heads stays. view_px: side of the
            rendered views. close_renders: views of twice that side, which make up half of each batch.
        limit_seconds: the learning rate falls to zero by then even if the steps are not done.

    Returns the weights file. Raises NcpifuError where there is nothing to train on.
    """
    torch.manual_seed(seed)
    whole = find_opposite_views(renders, size_px=view_px)
    nearer = [] if close_renders is None else find_opposite_views(close_renders, size_px=2 * view_px)
    names = sorted({view.folder.name for view in nearer or whole})
    held_back = set(names[len(names) - watch :]) if watch < len(names) else set()
    (training, watched), (close, watched_close) = _split(whole, held_back), _split(nearer, held_back)
    backdrops, rng = Backdrops(None), np.random.default_rng(seed)

    def draw() -> tuple[Tensor, Tensor]:
        of_close = batch_size // 2 if close else 0
        return crop_tensors(pieces(training, batch_size - of_close, CROPS) + pieces(close, of_close, CLOSE_CROPS, close=True))

    def pieces(views: list[OppositeViews], count: int, of_each: int, close: bool = False) -> list[NormalCrop]:
        chosen = (views[rng.integers(len(views))] for _ in range(-(-count // of_each)))
        return [crop for view in chosen for crop in draw_crops(view, min(of_each, count), crop_px, rng, backdrops, close=close)][:count]

    def scores(net: NormalNet) -> dict[str, float]:
        angles = angles_deg(net, watched) if watched else {}
        if watched_close:
            angles |= {f"{name}_close": angle for name, angle in close_angles_deg(NormalNets(net, begun.heads), watched_close).items()}
        return {f"{name}_deg": round(angle, 2) for name, angle in angles.items()}

    begun = NormalNets(NormalNet()) if start is None else load_normals(start)

    def save(path: Path, net: NormalNet, meta: dict[str, Any]) -> None:
        save_normals(path, NormalNets(net, begun.heads), meta)

    return fit(
        begun.people,
        draw,
        normal_loss,
        keeper(NormalNet, scores, save, run / "normals.safetensors", reporter),
        steps=steps,
        learning_rate=learning_rate,
        limit_seconds=limit_seconds,
        validate_every=validate_every,
        reporter=reporter,
    )


def normal_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Squared error, 2 (1 - cos), mean over the surface, and RELIEF times that of its steps from place to place; the back, a guess, counts a quarter.

    A mesh takes relief from normals, not shape (`geometry/refine.py`): how a limb is turned is most of the plain error, and not what is asked for. Steps are
    taken at full size and between means of 4 x 4 pixels. Both (B, 6, H, W), the true ones 0 beside the surface.

    An absolute error asks for the median: with it the network stayed at the round shape of the outline wherever it was not nearly sure of a fold.
    """
    known = (true.unflatten(1, (2, 3)).square().sum(2) > 0.5).float()  # (B, 2, H, W)
    error = (predicted - true) * known.repeat_interleave(3, 1)
    front, seen = error[:, :3], known[:, :1]
    plain = (front.square().sum() / seen.sum().clamp_min(1)) + 0.25 * (error[:, 3:].square().sum() / known[:, 1:].sum().clamp_min(1))
    coarse, covered = F.avg_pool2d(front, 4), (F.avg_pool2d(seen, 4) > 0.99).float()
    return plain + RELIEF * (_steps(front, seen) + _steps(coarse, covered))


def _steps(error: Tensor, known: Tensor) -> Tensor:
    """Mean squared difference of neighbours, (B, 3, H, W), where both are `known` (B, 1, H, W)."""
    total, count = error.new_zeros(()), known.new_zeros(())
    for axis in (2, 3):
        length = known.shape[axis] - 1
        both = known.narrow(axis, 0, length) * known.narrow(axis, 1, length)
        step = (error.narrow(axis, 1, length) - error.narrow(axis, 0, length)) * both
        total, count = total + step.square().sum(), count + both.sum()
    return total / count.clamp_min(1)


def angles_deg(net: NormalNet, views: list[OppositeViews]) -> dict[str, float]:
    """Mean angle between predicted and true normals over whole untouched views: "front", of it the "head", and "back"."""
    front, head, back = _Mean(), _Mean(), _Mean()
    for view in views:
        crop = whole_view(view)
        seen, behind = _angles(net, crop)
        front.add(seen)
        head.add(seen[head_rows(crop.image[3])])
        back.add(behind)
    return {"front": front.mean, "head": head.mean, "back": back.mean}


def close_angles_deg(nets: NormalNets, views: list[OppositeViews]) -> dict[str, float]:
    """The same for "front" and "head" of close views, seen as `estimate_normals` does: from afar, closely, and the head alone."""
    front, head = _Mean(), _Mean()
    for view in views:
        crop = whole_view(view)
        seen, _ = normals_seen(nets, *read_drawn(view.folder, view.front))
        angles = between_deg(torch.from_numpy(seen.transpose(2, 0, 1)), torch.from_numpy(crop.normals[:3]))
        front.add(angles)
        head.add(angles[head_rows(crop.image[3])])
    return {"front": front.mean, "head": head.mean}


class _Mean:
    """Of all numbers so far, NaNs left out; 0 of none."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, values: Tensor) -> None:
        self._sum += float(values.nansum())
        self._count += int((~values.isnan()).sum())

    @property
    def mean(self) -> float:
        return self._sum / max(self._count, 1)


def _angles(net: NormalNet, crop: NormalCrop) -> Tensor:
    """(2, H, W) angles in degrees between predicted and true normals of front and back, NaN where there is no surface."""
    image, true = crop_tensors([crop])
    with torch.inference_mode():
        return torch.stack([between_deg(seen, known) for seen, known in zip(net(image)[0].split(3), true[0].split(3), strict=True)])


def between_deg(seen: Tensor, true: Tensor) -> Tensor:
    """(H, W) angles in degrees between unit normals (3, H, W), NaN where the true ones are 0."""
    return (seen * true).sum(0).clamp(-1, 1).acos().rad2deg().where(true.square().sum(0) > 0.5, torch.nan)


def _split(views: list[OppositeViews], held_back: set[str]) -> tuple[list[OppositeViews], list[OppositeViews]]:
    """(training, watched): some of the views of the subjects that are held back are watched."""
    watched = [view for view in views if view.folder.name in held_back]
    return [view for view in views if view.folder.name not in held_back], watched[:: max(1, len(watched) // WATCHED)]


def crop_tensors(crops: list[NormalCrop]) -> tuple[Tensor, Tensor]:
    """Pictures (B, 4, S, S) and normals (B, 6, S, S)."""
    return torch.from_numpy(np.stack([crop.image for crop in crops])), torch.from_numpy(np.stack([crop.normals for crop in crops]))
