"""Training losses (method section 10): named terms, each (), and their weighted sum `total`."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ncpifu_cli.config.train import LossConfig
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.models.api import Prediction
from ncpifu_cli.models.blocks.depth_head import GAP_SEEN_NDC


def loss(prediction: Prediction, inside: Tensor, config: LossConfig) -> dict[str, Tensor]:
    """Terms of the loss that any network has.

    Args: prediction at N points; inside (B, N) bool labels.
    Returns {"total", "occupancy", "balance"}: occupancy is the mean over supervised stacks; balance the mean over codebooks (0 without).
    """
    target = inside.to(prediction.logits.dtype).expand_as(prediction.logits)
    if config.kind == "bce":
        occupancy = F.binary_cross_entropy_with_logits(prediction.logits, target)
    else:
        occupancy = F.mse_loss(prediction.logits.sigmoid(), target)
    reports = list(prediction.codebooks.values())
    balance = torch.stack([report.balance for report in reports]).mean() if reports else occupancy.new_zeros(())
    return {"total": config.occupancy * occupancy + config.balance * balance, "occupancy": occupancy, "balance": balance}


def depth_loss(predicted: Tensor, true_ndc: Tensor, depth_scale: float, gap_weight: float = 1.0) -> Tensor:
    """(): how far predicted depths are off, smooth L1 in units of phi (1 = 1 / depth_scale NDC), mean over stacks and pixels with a surface.

    An absolute error is smallest at the median, so a gap that is likelier not there than there is not predicted; with `gap_weight` w, begin and end of the true
    gaps count w times, and gaps are predicted from a probability of 1 / (1 + w) on.

    Args: predicted (S, B, L, h, w); true_ndc (B, L, h, w), NaN where there is no surface. 0 where no pixel has one.
    """
    known = torch.isfinite(true_ndc)
    target = torch.where(known, true_ndc * depth_scale, 0.0).expand_as(predicted)
    weight = known.float()
    if gap_weight != 1 and true_ndc.shape[1] > 2:
        weight[:, 2:] *= torch.where(true_ndc[:, 2:3] > true_ndc[:, 3:4], gap_weight, 1.0)
    error = F.smooth_l1_loss(predicted.float(), target, reduction="none", beta=0.1) * weight
    return error.sum() / (known.sum() * predicted.shape[0]).clamp_min(1)


def slope_loss(predicted: Tensor, true_ndc: Tensor, depth_scale: float) -> Tensor:
    """(): how far the steps of predicted depths from pixel to pixel are off, mean absolute error in units of phi over pairs of neighbours with a surface.

    A depth that is right within centimetres may be wavy; folds and limbs' roundness are in the steps. Args as of `depth_loss`.
    """
    error = predicted.float() - true_ndc * depth_scale  # NaN spreads to both pairs of an unknown pixel
    steps = torch.cat([error.diff(dim=-1).flatten(), error.diff(dim=-2).flatten()])
    known = torch.isfinite(steps)
    return torch.where(known, steps, 0.0).abs().sum() / known.sum().clamp_min(1)


def camera_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """(): mean squared error of how near the camera is, both (B, 3) (`blocks/camera_head.py`): what a picture does not tell is best answered by the mean."""
    return F.mse_loss(predicted, true)


@torch.no_grad()
def depth_error_cm(predicted: Tensor, true_ndc: Tensor, depth_scale: float) -> float:
    """Mean error of front and back surface as predicted, cm of the 1.80 m subject.

    Args: predicted (B, L, h, w) in units of phi; true_ndc (B, L, h, w), NaN where there is no surface.
    """
    error_ndc = (predicted[:, :2].float() / depth_scale - true_ndc[:, :2]).abs()
    return float(error_ndc[torch.isfinite(true_ndc[:, :2])].mean()) * HALF_EXTENT_M * 100


@torch.no_grad()
def gap_overlap(predicted: Tensor, true_ndc: Tensor, depth_scale: float) -> tuple[float, float]:
    """Lengths along the rays, in NDC and summed over pixels, that the predicted gaps share with the true ones and that either takes up.

    Args: as of `depth_error_cm`; (0, 0) for networks and renders without gaps.
    """
    if predicted.shape[1] == 2:
        return 0.0, 0.0
    begin, end = (predicted[:, 2:].float() / depth_scale).unbind(1)
    true_begin, true_end = true_ndc[:, 2:].unbind(1)
    known = torch.isfinite(true_begin)
    begin = torch.where(begin - end > GAP_SEEN_NDC, begin, end)
    shared = (torch.minimum(begin, true_begin) - torch.maximum(end, true_end)).clamp_min(0)
    either = (begin - end).clamp_min(0) + (true_begin - true_end) - shared
    return float(shared[known].sum()), float(either[known].sum())


@torch.no_grad()
def scores(prediction: Prediction, inside: Tensor) -> dict[str, float]:
    """IoU, precision and recall of the thresholded occupancy at the given points, over the whole batch."""
    guess = prediction.logits[-1] > 0
    hit = (guess & inside).sum().item()
    union, guessed, true = (guess | inside).sum().item(), guess.sum().item(), inside.sum().item()
    return {"iou": hit / max(union, 1), "precision": hit / max(guessed, 1), "recall": hit / max(true, 1)}
