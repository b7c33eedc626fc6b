"""Settings of `ncpifu synth`: how many humans, and what is fixed about them instead of left to chance."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ncpifu_cli.config.base import Settings
from ncpifu_cli.config.engine import EngineSettings


def _some_way(direction: tuple[float, float, float]) -> tuple[float, float, float]:
    if not 1e-6 < sum(x * x for x in direction) < 1e6:
        raise ValueError("must be a direction, not of length 0 or endless")
    return direction


ClothKind = Literal["simulated", "skinned"]
MeshDetail = Literal["train", "full"]
Direction = Annotated[tuple[float, float, float], AfterValidator(_some_way)]


class SynthConfig(EngineSettings):
    """What to make."""

    count: int = Field(20, ge=1, le=999_999, description="how many; without a split: so many for training and a tenth (at least 2) for testing")
    seed: int = Field(1, ge=0, le=999_999, description="number of the first human; humans seed .. seed + count - 1 are made")
    split: Literal["train", "test", "ood"] | None = Field(None, description="train, test, or ood (garments, poses, patterns, hair that train never shows)")
    jobs: int = Field(1, ge=0, le=256, description="processes that work at the same time, about 1 GB each; 0 = one per core")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where cloth is simulated")
    cloth: ClothKind = Field("simulated", description="skinned: trousers, tops and jackets move with the skin, twice as fast and without hanging folds")
    detail: MeshDetail = Field("train", description="train: 110 000 faces; full: every face (about 10 times the file)")
    format: Literal["drc", "glb", "ply", "obj"] = Field("drc", description="of the mesh file; drc (Draco) is the compact one that `render` reads fastest")


class GarmentWish(Settings):
    """One garment of an outfit."""

    garment: str = Field(description="a name of the catalogue")
    pattern: str | None = Field(None, description="a fabric pattern; None: drawn from the garment's own")
    values: dict[str, Any] = Field({}, description="values of GarmentSpec that replace the catalogue's, for example sleeve: 0.5")


class LimbWish(Settings):
    """Where an arm or a leg points: directions of any length, x to the subject's left, y backwards, z up."""

    upper: Direction = Field(description="of upper arm or thigh")
    lower: Direction = Field(description="of forearm or shin")


class PoseWish(Settings):
    """A pose: a family, and what is changed in it."""

    family: str = Field("stand", description="the pose family it starts from")
    stance: str | None = Field(None, description="the family its legs are of, when the pose is about the arms")
    left_arm: LimbWish | None = Field(None, description="where the left arm points instead")
    right_arm: LimbWish | None = Field(None, description="where the right arm points instead")
    left_leg: LimbWish | None = Field(None, description="where the left leg points instead")
    right_leg: LimbWish | None = Field(None, description="where the right leg points instead")
    lean: float | None = Field(None, ge=-40, le=90, description="degrees the spine leans forward")
    side: float | None = Field(None, ge=-40, le=40, description="degrees the spine leans to the left")
    twist: float | None = Field(None, ge=-60, le=60, description="degrees the spine turns")
    curl: float | None = Field(None, ge=0, le=90, description="degrees the fingers are closed")


def _named(key: str) -> BeforeValidator:
    """A bare name stands for {key: name}."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


class Wishes(Settings):
    """What is fixed about a human; what is None is drawn. Names and values are checked against what exists by `synth.wishes.check`."""

    body: dict[str, float] = Field({}, description="anny's parameters, each 0 .. 1: gender, age, weight, height, ...")
    outfit: tuple[Annotated[GarmentWish, _named("garment")], ...] | None = Field(None, description="garments, innermost first; a top before a bottom is tucked")
    pose: Annotated[PoseWish, _named("family")] | None = Field(None, description="a family's name, or one with changes")
    expression: str | None = Field(None, description="of the face: neutral, smile, ...")
    shoes: str | None = Field(None, description="kind of shoes, or bare")
    hair: str | None = Field(None, description="hair style")
    props: tuple[str, ...] | None = Field(None, description="things worn or held")


NO_WISHES = Wishes()
