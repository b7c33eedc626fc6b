"""Settings of `ncpifu train`."""

from typing import Literal

from pydantic import Field, model_validator

from ncpifu_cli.config.base import LARGEST_SEED, Settings
from ncpifu_cli.config.model import ModelConfig


class AugmentConfig(Settings):
    """Image and camera change together; the mask and the photograph's faults are imitated (method section 10)."""

    flip: bool = Field(True, description="mirror left and right half of the time")
    scale: float = Field(0.1, ge=0, lt=1, description="subject size changes by up to this fraction")
    shift_ndc: float = Field(0.05, ge=0, lt=1, description="subject moves by up to this much in x and y")
    roll_deg: float = Field(6.0, ge=0, lt=90, description="the camera is rolled by up to this angle")
    stretch: float = Field(0.06, ge=0, lt=1, description="the subject gets wider or narrower by up to this fraction")
    perspective: float = Field(0.5, ge=0, le=1, description="share of images as a near camera sees them, from 2.2 m on; the rest are orthographic")
    cut: float = Field(0.08, ge=0, le=1, description="share of images that end somewhere between the subject's hips and ankles; so does the truth")
    prints: float = Field(0.3, ge=0, le=1, description="share of images with prints, badges or panels of another colour painted onto the person")
    hue_turn: float = Field(0.1, ge=0, le=0.5, description="hues of half of the images are rotated by up to this fraction of a full turn")
    color: float = Field(0.25, ge=0, lt=1, description="strength of brightness, contrast, saturation and tint changes")
    blur_px: float = Field(1.2, ge=0, description="largest Gaussian blur, in pixels of the network's input")
    jpeg: float = Field(0.3, ge=0, le=1, description="share of images that are JPEG-compressed once more")
    noise: float = Field(0.02, ge=0, description="largest standard deviation of sensor noise, image range 0..1")
    mask: float = Field(0.5, ge=0, le=1, description="share of images whose mask is imperfect (grown, shrunk, bitten)")


class DataConfig(Settings):
    """Which subjects, which views, how many points."""

    points: int = Field(4096, ge=16, description="query points per image, half inside, half outside")
    frontal_share: float = Field(0.5, ge=0, le=1, description="share of images within 60 degrees of the front, as photographs are; the rest from anywhere")
    column_share: float = Field(0.25, ge=0, lt=1, description="share of the outside points taken from empty space right before or behind the subject")
    validation_subjects: int = Field(8, ge=0, description="training subjects kept out of training to watch over-fitting; their views are never trained on")
    watch: tuple[str, ...] = Field((), description="names of the subjects to keep out instead, so that adding subjects does not change which they are")
    validation_views: int = Field(2, ge=1, description="views per validation subject")
    workers: int = Field(-1, ge=-1, description="loader processes; 0 loads in a thread; -1 is 0 beside a CPU and one per spare core, at most 16, beside a GPU")
    overfit: int = Field(0, ge=0, description="train on the first so many subjects alone, without augmentation, and watch the same; 0 trains on all")
    skip_bad: bool = Field(False, description="replace items that cannot be read by others and list them, in place of stopping")
    augment: AugmentConfig = AugmentConfig()


class OptimConfig(Settings):
    """Adam with warm-up and decay (paper: Adam, 1e-4 with decay, batch 8)."""

    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    encoder_rate: float = Field(
        1.0,
        ge=0,
        le=1,
        description="the same for image encoder and depth head, as a share of lr; 0 leaves them as they are (the camera head learns all the same)",
    )
    batch_size: int = Field(8, ge=1, description="images per pass of each process")
    accumulate: int = Field(1, ge=1, description="passes of batch_size images whose gradients are added up to one step")
    warmup_steps: int = Field(200, ge=0, description="linear warm-up")
    schedule: Literal["cosine", "constant", "time"] = Field(
        "cosine", description="decay after warm-up, to 1 % at the last step; `time`: to 1 % at the end of --limit-time, however many steps that allows"
    )
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    clip_norm: float = Field(1.0, gt=0, description="gradients longer than this are shortened to it")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights that are evaluated and released")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="autocast type of the forward pass")


class LossConfig(Settings):
    """Weights of the named loss terms."""

    occupancy: float = Field(
        1.0, ge=0, description="occupancy error, mean over supervised stacks; 0 trains encoder, depth and camera head alone, several times as fast"
    )
    kind: Literal["bce", "mse"] = Field("bce", description="binary cross entropy on logits, or PIFu's squared error on sigmoids")
    depth: float = Field(0.5, ge=0, description="depths of the surfaces along each ray, read off the feature map; 0 trains by points alone, as the paper does")
    gap: float = Field(1.0, gt=0, description="weight of the ends of gaps among those depths, where there is one: more finds more gaps, and invents more")
    slope: float = Field(0.0, ge=0, description="steps of those depths from pixel to pixel: folds, and limbs that are round")
    camera: float = Field(10.0, ge=0, description="how near the camera is, where the network tells")
    balance: float = Field(0.02, ge=0, description="codebook balance: KL of the mean code use from uniform, against collapse")


class TrainConfig(Settings):
    """A whole training run; stored beside its weights."""

    model: ModelConfig = ModelConfig()
    true_surfaces: float = Field(
        1.0,
        ge=0,
        le=1,
        description="with model.surface_depth: share of images whose points are told the true depth of the surfaces while training, the rest the predicted one",
    )
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()
    loss: LossConfig = LossConfig()
    steps: int = Field(100_000, ge=1, description="optimiser steps")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of weights, data order and augmentation")
    log_every: int = Field(20, ge=1, description="steps between log lines")
    validate_every: int = Field(500, ge=1, description="steps between validations, each followed by a checkpoint")
    picture_every: int = Field(1000, ge=0, description="steps between pictures of watched subjects, each drawn with the next validation; 0 draws none")
    picture_subjects: int = Field(3, ge=1, description="subjects in such a picture")
    picture_resolution: int = Field(128, ge=16, le=512, description="cells per axis of its meshes")
    revive_every: int = Field(100, ge=1, description="steps between revivals of unused codes")
    threads: int = Field(0, ge=0, description="CPU threads, 0 for all cores")

    @model_validator(mode="after")
    def _something_learns(self) -> "TrainConfig":
        if self.loss.occupancy == 0 and (self.optim.encoder_rate == 0 or self.loss.depth == self.loss.slope == 0):
            raise ValueError("loss.occupancy=0 trains the encoder alone, by depth: with optim.encoder_rate=0, or loss.depth=0 and loss.slope=0, nothing learns")
        return self
