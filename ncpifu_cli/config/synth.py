"""Settings of `ncpifu synth`."""

from typing import Literal

from pydantic import Field

from ncpifu_cli.config.base import Settings


class SynthConfig(Settings):
    """What to make."""

    count: int = Field(20, ge=1, le=999_999, description="how many; without a split: so many for training and a tenth (at least 2) for testing")
    seed: int = Field(1, ge=0, le=999_999, description="number of the first human; humans seed .. seed + count - 1 are made")
    split: Literal["train", "test", "ood"] | None = Field(None, description="train, test, or ood (garments, poses, patterns, hair that train never shows)")
    jobs: int = Field(1, ge=1, le=256, description="processes that work at the same time, about 2 GB each")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where cloth is simulated")
    detail: Literal["train", "full"] = Field("train", description="train: 110 000 faces; full: every face (about 10 times the file)")
