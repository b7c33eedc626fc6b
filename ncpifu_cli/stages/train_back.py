"""Train the back network on rendered people (docs/backs.md). One process; stops by steps or by time, whichever comes first."""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ncpifu_cli.data.back_net import BackNet, load_back, save_back
from ncpifu_cli.data.back_pictures import BackPicture, draw_pictures
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.dataset import is_frontal
from ncpifu_cli.data.network_input import DETAIL_PX
from ncpifu_cli.data.opposite_views import OppositeViews, find_opposite_views
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.train_pictures import fit, keeper

OF_EACH = 4  # pictures of each view that is read: reading takes longer than learning
FRONTAL_SHARE = 0.7  # photographs are mostly from the front
FEATURES = 3.0
WATCHED_STEP = 3  # of the frontal views of those who are watched, every so many are scored
MEANS = (4, 16)  # pixels: colours are compared as means over squares of these sides, since no stripe behind is where it is in front


def train_back(
    renders: Path,
    run: Path,
    *,
    watch: tuple[str, ...] = (),
    view_px: int = DETAIL_PX,
    start: Path | None = None,
    steps: int = 100_000,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    limit_seconds: float = math.inf,
    validate_every: int = 1000,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Path:
    """Train on the subjects in `renders` that are not held out; every `validate_every` steps score the averaged weights on those named in `watch`.

    Args: view_px: side of the rendered views. start: weights to go on from. limit_seconds: the learning rate falls to zero by then.

    Returns the weights file. Raises NcpifuError where there is nothing to train on.
    """
    torch.manual_seed(seed)
    views = find_opposite_views(renders, size_px=view_px)
    unknown = set(watch) - {view.folder.name for view in views}
    if unknown:
        raise NcpifuError(f"{', '.join(sorted(unknown))}: nobody of this name in {renders}", "watch names of folders there")
    training = [view for view in views if view.folder.name not in watch]
    if not training:
        raise NcpifuError(f"nobody in {renders} is left to train on: all are watched", "watch fewer, or render more people")
    frontal = [view for view in training if is_frontal(view.front.yaw_deg)] or training
    watched = [view for view in views if view.folder.name in watch and is_frontal(view.front.yaw_deg)][::WATCHED_STEP]
    backdrops, rng = Backdrops(None), np.random.default_rng(seed)

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        pictures: list[BackPicture] = []
        while len(pictures) < batch_size:
            among = frontal if rng.random() < FRONTAL_SHARE else training
            view = among[rng.integers(len(among))]
            pictures += draw_pictures(view, OF_EACH, rng, backdrops)
        return _tensors(pictures[:batch_size])

    def scores(net: BackNet) -> dict[str, float]:
        return {"watched": round(back_error(net, watched), 4)} if watched else {}

    return fit(
        BackNet() if start is None else load_back(start),
        draw,
        back_loss,
        keeper(BackNet, scores, save_back, run / "back.safetensors", reporter),
        steps=steps,
        learning_rate=learning_rate,
        limit_seconds=limit_seconds,
        validate_every=validate_every,
        reporter=reporter,
    )


def back_loss(answer: Tensor, image: Tensor, back: Tensor) -> Tensor:
    """Mean absolute error of the mixture of the photo's colour and the network's own, of means over squares of `MEANS` pixels.

    On the head also of every pixel, and `FEATURES` times that of its steps from pixel to pixel: eyes and a mouth on blond hair are no great error in the mean,
    and the first thing that anybody sees.

    answer and image (B, 4, H, W), back (B, 5, H, W).
    """
    known, head = back[:, 3:4], back[:, 4:]
    error = (mixed(answer, image) - back[:, :3]) * known
    total = (error * head).abs().sum() / head.sum().clamp_min(1)
    for axis in (2, 3):
        total = total + FEATURES * (error * head).diff(dim=axis).abs().sum() / head.sum().clamp_min(1)
    for side in MEANS:
        mean, covered = F.avg_pool2d(error, side), F.avg_pool2d(known, side)
        total = total + mean.abs().sum() / covered.sum().clamp_min(1)
    return total


def mixed(answer: Tensor, image: Tensor) -> Tensor:
    """(B, 3, H, W) colours in [-1, 1] of the other side."""
    share, own = answer.split((1, 3), dim=1)
    photo = (image[:, :3] / image[:, 3:].clamp_min(0.5)).clamp(-1, 1)
    return share * photo + (1 - share) * own


def back_error(net: BackNet, views: list[OppositeViews]) -> float:
    """`back_loss` over pictures of these views, the same ones every time."""
    rng, backdrops = np.random.default_rng(0), Backdrops(None)
    losses = []
    for view in views:
        image, extra, back = _tensors(draw_pictures(view, 2, rng, backdrops))
        with torch.inference_mode():
            losses.append(float(back_loss(net(image), extra, back)))
    return float(np.mean(losses))


def _tensors(pictures: list[BackPicture]) -> tuple[Tensor, Tensor, Tensor]:
    image = torch.from_numpy(np.stack([picture.image for picture in pictures]))
    return image, image, torch.from_numpy(np.stack([picture.back for picture in pictures]))
