"""Neural-code PIFu (paper eq. 3), with fixed location tokens (method section 9) or literal groups of query points."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ncpifu_cli.geometry.sample import inside_image, sample_image
from ncpifu_cli.models.api import CodebookReport, Features, Prediction, Seen
from ncpifu_cli.models.blocks.attention import GlobalAttention, KeysValues
from ncpifu_cli.models.blocks.camera_head import CameraHead
from ncpifu_cli.models.blocks.classifier import SurfaceClassifier
from ncpifu_cli.models.blocks.depth_head import DepthHead, FineDepthHead, gap_within, without_doubtful_gaps
from ncpifu_cli.models.blocks.fusion import Branch
from ncpifu_cli.models.blocks.groups import grouped_once, strided_groups
from ncpifu_cli.models.blocks.hourglass import StackedHourglass
from ncpifu_cli.models.blocks.lattice import Lattice
from ncpifu_cli.models.blocks.mixer import ChannelMixing, LocationMixing
from ncpifu_cli.models.blocks.unet import UNet
from ncpifu_cli.models.seeing import SeeingNetwork

OUTSIDE_LOGIT = -16.0  # a point that projects outside the image is outside the body

Reports = dict[str, CodebookReport]


@dataclass(frozen=True)
class Gates:
    """Which codes the image opens in each branch, (B, K) each."""

    local: Tensor
    global_: Tensor


@dataclass(frozen=True)
class Encoded:
    """Hourglass outputs, ready to be queried; B counts photos times outputs, those of one output together.

    Attributes: feature_map (B, C, H/4, W/4); stem (photos, C_stem, H/2, W/2), which all outputs share; surfaces (B, L, h, w), predicted depth of the surfaces
    along each ray in units of phi; gates; keys_values: of the lattice (None for literal groups); context: mixed lattice features (B, S, C_fine), None
    without integration over the lattice.
    """

    feature_map: Tensor
    stem: Tensor
    surfaces: Tensor
    gates: Gates
    keys_values: KeysValues | None = None
    context: Tensor | None = None


class NeuralCodePIFu(SeeingNetwork):
    """The paper's network over its built parts; `models/build.py` makes them. Images (B, 3, H, W) in [-1, 1], points (B, N, 3) in NDC."""

    def __init__(
        self,
        *,
        encoder: StackedHourglass | UNet,
        local_gate: nn.Module,
        global_gate: nn.Module,
        local_branch: Branch,
        global_branch: Branch,
        attention: GlobalAttention,
        channel_mixing: ChannelMixing | nn.Identity,
        classifier: SurfaceClassifier,
        depth_head: DepthHead | FineDepthHead,
        camera_head: CameraHead | None,
        depth_scale: float,
        surface_depth: bool,
        supervise_all: bool,
    ) -> None:
        super().__init__(encoder, depth_head, camera_head)
        self.local_gate, self.global_gate = local_gate, global_gate
        self.local_branch, self.global_branch = local_branch, global_branch
        self.attention = attention
        self.channel_mixing = channel_mixing
        self.classifier = classifier
        self.depth_scale, self.surface_depth, self.supervise_all = depth_scale, surface_depth, supervise_all

    def encode(self, image: Tensor, true_depth_ndc: Tensor | None = None, both_ways: bool = False) -> Features:
        """(B, 3, H, W) -> features to query: of every hourglass output in training with deep supervision, else of the last.

        `both_ways` reads surfaces and camera off the mirror image as well and takes the mean, whose errors are smaller (docs/method.md). Gaps between surfaces
        that are in doubt are closed, but not in training: the losses are of what the heads say.
        `true_depth_ndc` (B, L, h, w), of the size of the predicted surfaces and NaN where unknown, takes their place in x_c (not in the answer's `depth`).
        Trained so, points learn a limb's thickness around surfaces that are where they should be; else they would average over wherever the limb might be.
        """
        maps, stem = self.encoder(image)
        chosen = maps if self.training and self.supervise_all else maps[-1:]
        seen = self.seen_in(chosen, stem)
        if both_ways and self.surface_depth:
            seen = _mean_of_both(seen, self.see(image.flip(-1)))
        if not self.training and self.surface_depth:
            seen = seen._replace(depth=without_doubtful_gaps(seen.depth, self.depth_scale))
        depth = told = seen.depth
        if true_depth_ndc is not None:
            told = torch.where(torch.isfinite(true_depth_ndc), true_depth_ndc * self.depth_scale, depth.float()).to(depth.dtype)
        return Features(self._prepare(torch.cat(chosen), stem, told.flatten(0, 1)), seen)

    def query(self, features: Features, points_ndc: Tensor) -> Prediction:
        """Occupancy logits at (B, N, 3) points; every point's answer is independent of the others (but see `LiteralGroups`)."""
        batch, outputs = len(points_ndc), len(features.seen.depth)
        fine, x, reports = self._fine(features.encoded, points_ndc.repeat(outputs, 1, 1))
        logits = self.classifier(torch.cat([fine, x], dim=-1)).float().unflatten(0, (outputs, batch))
        return Prediction(torch.where(inside_image(points_ndc), logits, OUTSIDE_LOGIT), reports)

    def _prepare(self, feature_map: Tensor, stem: Tensor, surfaces: Tensor) -> Encoded:
        # v_s of eq. 6 scores the global average of x_c; the depth's average over the volume is 0 and is left out.
        average = torch.cat([feature_map.mean(dim=(2, 3)), stem.mean(dim=(2, 3)).repeat(len(feature_map) // len(stem), 1)], dim=-1)
        return Encoded(feature_map, stem, surfaces, Gates(self.local_gate(average), self.global_gate(average)))

    @abstractmethod
    def _fine(self, encoded: Encoded, points_ndc: Tensor) -> tuple[Tensor, Tensor, Reports]:
        """Fine-level feature (B, N, C_fine), x_c (B, N, C) and the codebooks' reports."""

    def _x_c(self, encoded: Encoded, points_ndc: Tensor) -> Tensor:
        """Pixel-aligned feature x_c (B, N, C): hourglass, stem and depth (section 2), which may be told from the predicted surfaces as well."""
        dtype = encoded.feature_map.dtype
        depth = self.depth_scale * points_ndc[..., 2:3]
        of_stem = sample_image(encoded.stem, points_ndc[: len(encoded.stem)])  # every output is asked at the same points
        parts = [sample_image(encoded.feature_map, points_ndc), of_stem.repeat(len(points_ndc) // len(of_stem), 1, 1), depth.to(dtype)]
        if self.surface_depth:
            parts.append((depth - _around(depth, sample_image(encoded.surfaces.float(), points_ndc), self.depth_scale)).to(dtype))
        return torch.cat(parts, dim=-1)

    def _coarse(self, x: Tensor, points_ndc: Tensor, keys_values: KeysValues, gates: Gates) -> tuple[Tensor, Reports]:
        """Both branches and channel mixing (eq. 4-8): x_c (B, N, C) -> (B, N, C_fine)."""
        f_local, local_report = self.local_branch(x, gates.local)
        f_global, global_report = self.global_branch(self.attention(x, points_ndc, keys_values), gates.global_)
        reports = {name: report for name, report in (("local", local_report), ("global", global_report)) if report is not None}
        return self.channel_mixing(torch.cat([f_global, f_local], dim=-1)), reports


def _mean_of_both(seen: Seen, mirrored: Seen) -> Seen:
    """The mean of what is seen in a photo and in its mirror image, of which further hourglass outputs than asked for are left out."""
    depth = (seen.depth + mirrored.depth[-len(seen.depth) :].flip(-1)) / 2
    if seen.camera is None or mirrored.camera is None:
        return Seen(depth)
    return Seen(depth, (seen.camera + mirrored.camera * mirrored.camera.new_tensor([1, -1, 1])) / 2)


def _around(depth: Tensor, surfaces: Tensor, depth_scale: float) -> Tensor:
    """Front and back (B, N, 2) of what a point is in or next to: depth (B, N, 1) and the surfaces along its ray (B, N, L), units of phi.

    With L = 2 they are the ray's first and last surface. With L = 4 there may be a gap between (`data/depth.py`), and either side of it, say the near or the
    far leg, is all that is told to the points on that side.
    """
    if surfaces.shape[-1] == 2:
        return surfaces
    front, back = surfaces[..., :1], surfaces[..., 1:2]
    begin, end, gap = gap_within(surfaces, depth_scale)
    near = depth > (begin + end) / 2
    return torch.cat([torch.where(gap & ~near, end, front), torch.where(gap & near, begin, back)], dim=-1)


class LatticeNCPIFu(NeuralCodePIFu):
    """Points attend to a fixed lattice and receive its mixed features by interpolation; the lattice is worked out once per photo."""

    def __init__(self, *, lattice: Lattice, location_mixing: LocationMixing | None, channels_fine: int, **parts: object) -> None:
        super().__init__(**parts)  # type: ignore[arg-type]
        self.lattice = lattice
        self.location_mixing = location_mixing
        self.spread = nn.Linear(channels_fine, channels_fine) if location_mixing is not None else None

    def _prepare(self, feature_map: Tensor, stem: Tensor, surfaces: Tensor) -> Encoded:
        encoded = super()._prepare(feature_map, stem, surfaces)
        places = self.lattice.points(feature_map.shape[0])
        tokens = self._x_c(encoded, places)
        keys_values = self.attention.keys_values(tokens, places)
        if self.location_mixing is None or self.spread is None:
            return replace(encoded, keys_values=keys_values)
        coarse, _ = self._coarse(tokens, places, keys_values, encoded.gates)
        # The linear layer commutes with interpolation, so it is applied to S tokens in place of N points.
        context = self.spread(self.location_mixing(coarse))
        return replace(encoded, keys_values=keys_values, context=context)

    def _fine(self, encoded: Encoded, points_ndc: Tensor) -> tuple[Tensor, Tensor, Reports]:
        assert encoded.keys_values is not None, "features were encoded by another kind of network"
        x = self._x_c(encoded, points_ndc)
        fine, reports = self._coarse(x, points_ndc, encoded.keys_values, encoded.gates)
        if encoded.context is not None:
            fine = fine + self.lattice.at(encoded.context, points_ndc)
        return fine, x, reports


class LiteralGroups(NeuralCodePIFu):
    """Attention and mixing within groups of n query points, as the paper says literally. A point's answer depends on its group."""

    def __init__(self, *, group_size: int, location_mixing: LocationMixing, **parts: object) -> None:
        super().__init__(**parts)  # type: ignore[arg-type]
        self.group_size = group_size
        self.location_mixing = location_mixing

    def _fine(self, encoded: Encoded, points_ndc: Tensor) -> tuple[Tensor, Tensor, Reports]:
        x = self._x_c(encoded, points_ndc)
        batch, count, channels = x.shape
        index = strided_groups(points_ndc, self.group_size)  # (B, G, n)
        groups = index.shape[1]
        flat = index.reshape(batch, -1, 1)
        tokens = x.gather(1, flat.expand(-1, -1, channels)).reshape(batch * groups, self.group_size, channels)
        places = points_ndc.gather(1, flat.expand(-1, -1, 3)).reshape(batch * groups, self.group_size, 3)
        gates = Gates(encoded.gates.local.repeat_interleave(groups, 0), encoded.gates.global_.repeat_interleave(groups, 0))
        coarse, reports = self._coarse(tokens, places, self.attention.keys_values(tokens, places), gates)
        mixed = self.location_mixing(coarse).unflatten(0, (batch, groups))
        return grouped_once(mixed, index, count), x, reports
