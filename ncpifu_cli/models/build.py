"""ModelConfig -> network: the only switchboard. Networks take built parts, never a config."""

from collections.abc import Callable
from typing import Any

from torch import nn

from ncpifu_cli.config.base import load
from ncpifu_cli.config.model import CodebookConfig, EncoderConfig, ModelConfig
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.models.blocks.attention import GlobalAttention
from ncpifu_cli.models.blocks.camera_head import CameraHead
from ncpifu_cli.models.blocks.classifier import SurfaceClassifier
from ncpifu_cli.models.blocks.codebook import Codebook, NoCodebook
from ncpifu_cli.models.blocks.depth_head import DepthHead, FineDepthHead
from ncpifu_cli.models.blocks.fusion import Branch, CodeFusion, MLPFusion, SumFusion
from ncpifu_cli.models.blocks.gate import Gate, OpenGate
from ncpifu_cli.models.blocks.hourglass import StackedHourglass
from ncpifu_cli.models.blocks.lattice import Lattice
from ncpifu_cli.models.blocks.mixer import ChannelMixing, LocationMixing
from ncpifu_cli.models.blocks.unet import UNet
from ncpifu_cli.models.blocks.variance import NoVariance, VarianceModelling
from ncpifu_cli.models.ncpifu import LatticeNCPIFu, LiteralGroups, NeuralCodePIFu
from ncpifu_cli.models.pifu import PIFu

Network = NeuralCodePIFu | PIFu


def build(config: ModelConfig) -> Network:
    """A network with fresh weights (seed torch before for repeatable ones)."""
    encoder = _encoder(config.encoder)
    depth_head = _depth_head(config)
    if config.kind == "pifu":
        classifier = SurfaceClassifier(config.encoder.channels + 1, config.classifier)
        return PIFu(encoder, classifier, depth_head, _camera_head(config), config.depth_scale, config.supervise == "all")
    channels = config.feature_channels
    coarse = config.width if config.fusion == "mlp" else channels
    fine = 2 * coarse
    parts: dict[str, Any] = {
        "encoder": encoder,
        "local_gate": _gate(config.codebook, config.image_channels),
        "global_gate": _gate(config.codebook, config.image_channels),
        "local_branch": _branch(config, config.local_codebook),
        "global_branch": _branch(config, config.global_codebook),
        "attention": GlobalAttention(channels, config.attention_width, config.attention_heads),
        "channel_mixing": nn.Identity() if config.integration == "none" else ChannelMixing(fine, config.mixer_expansion),
        "classifier": SurfaceClassifier(fine + channels, config.classifier),
        "depth_head": depth_head,
        "camera_head": _camera_head(config),
        "depth_scale": config.depth_scale,
        "surface_depth": config.surface_depth,
        "supervise_all": config.supervise == "all",
    }
    if config.integration == "points":
        return LiteralGroups(group_size=config.group_size, location_mixing=LocationMixing(config.group_size, fine), **parts)
    lattice = Lattice(config.lattice.size, config.lattice.extent_ndc)
    mixing = LocationMixing(len(lattice), fine) if config.integration == "lattice" else None
    return LatticeNCPIFu(lattice=lattice, location_mixing=mixing, channels_fine=fine, **parts)


def build_profile(name: str) -> Network:
    """The network of a named configuration (`paper`, `compact`, `tiny`), with fresh weights."""
    return build(load(TrainConfig, name).model)


def _encoder(config: EncoderConfig) -> StackedHourglass | UNet:
    if config.kind == "unet":
        return UNet(config.stem_channels, config.channels, config.rounds)
    return StackedHourglass(config.stem_channels, config.channels, config.stacks, config.depth)


def _depth_head(config: ModelConfig) -> DepthHead | FineDepthHead:
    channels, stem_channels = config.encoder.channels, config.encoder.stem_channels
    if config.depth_stride == 2:
        return FineDepthHead(channels, stem_channels, config.depth_layers)
    return DepthHead(channels, config.depth_layers)


def _camera_head(config: ModelConfig) -> CameraHead | None:
    return CameraHead(config.encoder.channels) if config.camera else None


def _gate(config: CodebookConfig, channels: int) -> nn.Module:
    return Gate(config.size, channels, config.gate_threshold, config.gate_lambda) if config.gate else OpenGate(config.size)


def _branch(config: ModelConfig, with_codebook: bool) -> Branch:
    channels, book = config.feature_channels, config.codebook
    codebook = Codebook(book.size, channels, book.select, book.temperature, book.norm) if with_codebook else NoCodebook()
    code_channels = channels if with_codebook else 0
    varied = with_codebook and book.variance > 0
    variance = VarianceModelling(code_channels, channels, book.variance) if varied else NoVariance()
    fusions: dict[str, Callable[[], nn.Module]] = {"mlp": lambda: MLPFusion(channels + code_channels, config.width), "sum": SumFusion, "codes": CodeFusion}
    return Branch(codebook, variance, fusions[config.fusion]())
