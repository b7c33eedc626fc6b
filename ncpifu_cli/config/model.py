"""What a network is made of. Sizes only; `models/build.py` turns them into objects."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from ncpifu_cli.config.base import Settings


class EncoderConfig(Settings):
    """Image encoder (method section 2)."""

    kind: Literal["hourglass", "unet"] = Field("hourglass", description="the paper's stacked hourglass, or a U-Net that learns faster on a CPU (one stack)")
    stem_channels: int = Field(64, gt=0, description="channels of the stride-2 stem, also the high-resolution skip in x_c")
    channels: int = Field(256, gt=0, multiple_of=4, description="channels of each hourglass output")
    stacks: int = Field(4, ge=1, description="number of hourglasses in a row")
    depth: int = Field(2, ge=1, description="how often each hourglass halves its input")
    rounds: int = Field(0, ge=0, description="further rounds of convolution and attention at both the lowest maps of the U-Net")


class CodebookConfig(Settings):
    """Neural codebook, gate and variance (method sections 3-5, paper eq. 5-7)."""

    size: int = Field(128, ge=2, description="K, the number of codes in each codebook")
    select: int = Field(4, ge=1, description="n of eq. 5: how many codes answer each point")
    temperature: float = Field(0.5, gt=0, description="tau of the softmax over distances")
    norm: float = Field(4.0, gt=0, description="length to which codes and inputs are scaled before distances are taken; keeps codes in use")
    gate: bool = Field(True, description="eq. 6: let the image decide how much of the codebook is open")
    gate_threshold: float = Field(0.5, gt=0, lt=1, description="T of eq. 6")
    gate_lambda: float = Field(0.25, gt=0, description="lambda of eq. 6 as a multiple of K^2")
    variance: float = Field(0.1, ge=0, description="epsilon of eq. 7; 0 switches variance modelling off")


class LatticeConfig(Settings):
    """Fixed location tokens (method section 9)."""

    size: tuple[PositiveInt, PositiveInt, PositiveInt] = Field((6, 12, 5), description="tokens along x, y, z")
    extent_ndc: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field((0.75, 0.95, 0.5), description="half size of the lattice in NDC along x, y, z")


class ModelConfig(Settings):
    """A whole network. The named ablations of the paper's table 2 are values here (method section 11)."""

    kind: Literal["ncpifu", "pifu"] = Field("ncpifu", description="the network: the paper's, or the PIFu baseline")
    profile: str = Field("paper", description="a name for messages and model cards")
    image_size_px: int = Field(512, ge=32, multiple_of=32, description="side of the square input image")
    encoder: EncoderConfig = EncoderConfig()
    depth_scale: float = Field(8.0, gt=0, description="phi(X) = depth_scale * z in NDC: a body's depth becomes as large as any other channel of x_c")
    surface_depth: bool = Field(
        False, description="phi(X) also holds the depth relative to the surfaces that the depth head predicts before and behind the point (ours)"
    )
    depth_layers: Literal[2, 4] = Field(2, description="surfaces along a ray that the depth head predicts: front and back, or also where a gap between them is")
    depth_stride: Literal[2, 4] = Field(4, description="the depth head answers at 1/4 of the image's resolution, or with the stem's help at 1/2")
    camera: bool = Field(False, description="also tell how near the camera is, so that its perspective can be taken out of the mesh (ours)")
    codebook: CodebookConfig = CodebookConfig()
    local_codebook: bool = Field(True, description="codebook in the local branch")
    global_codebook: bool = Field(True, description="codebook in the global branch")
    fusion: Literal["mlp", "sum", "codes"] = Field("mlp", description="coarse feature: Fuse([x|z]), x + z, or z alone")
    width: int = Field(256, ge=4, description="channels of each coarse feature f_l, f_g (with fusion mlp)")
    attention_width: int = Field(256, ge=4, description="channels of queries, keys and values in eq. 4")
    attention_heads: int = Field(4, ge=1, description="heads in eq. 4")
    integration: Literal["lattice", "points", "none"] = Field(
        "lattice", description="eq. 8, 9 over fixed location tokens, over groups of query points, or left out"
    )
    mixer_expansion: float = Field(2.0, gt=0, description="hidden width of the channel-mixing MLP over its input width")
    lattice: LatticeConfig = LatticeConfig()
    group_size: int = Field(512, ge=8, description="N, points per group of `integration: points`")
    classifier: tuple[PositiveInt, ...] = Field((1024, 512, 256, 128), min_length=1, description="hidden widths of the surface classifier F_Q")
    supervise: Literal["all", "last"] = Field("all", description="which hourglass outputs are trained against the occupancy")

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        if self.attention_width % self.attention_heads:
            raise ValueError(f"attention_width {self.attention_width} must be a multiple of attention_heads {self.attention_heads}")
        if self.codebook.select > self.codebook.size:
            raise ValueError(f"codebook.select {self.codebook.select} exceeds codebook.size {self.codebook.size}")
        if self.encoder.kind == "hourglass" and self.image_size_px // 4 < 2**self.encoder.depth:
            raise ValueError(f"encoder.depth {self.encoder.depth} halves a picture of {self.image_size_px} px too often")
        if self.encoder.kind == "hourglass" and self.image_size_px // 4 % 2**self.encoder.depth:
            raise ValueError(f"a quarter of {self.image_size_px} px cannot be halved {self.encoder.depth} times (encoder.depth)")
        if self.encoder.kind == "hourglass" and self.encoder.rounds:
            raise ValueError("only encoder.kind=unet has encoder.rounds")
        if self.fusion == "codes" and not (self.local_codebook and self.global_codebook):
            raise ValueError("fusion: codes needs both codebooks")
        return self

    @property
    def feature_channels(self) -> int:
        """C, the length of x_c: image features and depth (321 in the paper)."""
        return self.image_channels + (3 if self.surface_depth else 1)

    @property
    def image_channels(self) -> int:
        """Channels of x_c that come from the image: hourglass + stem."""
        return self.encoder.channels + self.encoder.stem_channels
