"""The PIFu baseline (Saito et al. 2019) in the same framework: same encoder, sampler, trainer, extractor and evaluator."""

import torch
from torch import Tensor

from ncpifu_cli.geometry.sample import inside_image, sample_image
from ncpifu_cli.models.api import Features, Prediction
from ncpifu_cli.models.blocks.camera_head import CameraHead
from ncpifu_cli.models.blocks.classifier import SurfaceClassifier
from ncpifu_cli.models.blocks.depth_head import DepthHead, FineDepthHead
from ncpifu_cli.models.blocks.hourglass import StackedHourglass
from ncpifu_cli.models.blocks.unet import UNet
from ncpifu_cli.models.ncpifu import OUTSIDE_LOGIT
from ncpifu_cli.models.seeing import SeeingNetwork


class PIFu(SeeingNetwork):
    """f(F(x), z): hourglass feature and depth into an MLP with skips; every hourglass output is supervised."""

    def __init__(
        self,
        encoder: StackedHourglass | UNet,
        classifier: SurfaceClassifier,
        depth_head: DepthHead | FineDepthHead,
        camera_head: CameraHead | None,
        depth_scale: float,
        supervise_all: bool,
    ) -> None:
        super().__init__(encoder, depth_head, camera_head)
        self.classifier = classifier
        self.depth_scale, self.supervise_all = depth_scale, supervise_all

    def encode(self, image: Tensor, true_depth_ndc: Tensor | None = None, both_ways: bool = False) -> Features:
        """(B, 3, H, W) in [-1, 1] -> feature maps (B, C, H/4, W/4): all in training with deep supervision, else the last.

        Depth has no use here, neither the true one nor one read both ways, and so nothing is.
        """
        maps, stem = self.encoder(image)
        chosen = maps if self.training and self.supervise_all else maps[-1:]
        return Features(torch.cat(chosen), self.seen_in(chosen, stem))

    def query(self, features: Features, points_ndc: Tensor) -> Prediction:
        """Logits at (B, N, 3) NDC points."""
        batch, outputs = len(points_ndc), len(features.seen.depth)
        points = points_ndc.repeat(outputs, 1, 1)
        depth = self.depth_scale * points[..., 2:3].to(features.encoded.dtype)
        logits = self.classifier(torch.cat([sample_image(features.encoded, points), depth], dim=-1)).float().unflatten(0, (outputs, batch))
        return Prediction(torch.where(inside_image(points_ndc), logits, OUTSIDE_LOGIT), {})
