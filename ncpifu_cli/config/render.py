"""Settings of `ncpifu render`."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from ncpifu_cli.config.base import LARGEST_SEED, dump
from ncpifu_cli.config.engine import EngineSettings

Dataset = Literal["auto", "synthetic", "thuman2", "buff", "renderpeople", "customhumans", "folder"]
Light = Literal["prt", "sh", "flat"]
RendererName = Literal["auto", "pyrender", "raster"]
UpAxis = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]
Units = Literal["auto", "m", "cm", "mm"]
Layout = Literal["ncpifu", "pifu"]
SurfaceMap = Literal["depth", "normal"]


class RenderSettings(EngineSettings):
    """How scans become pictures and labels."""

    dataset: Dataset = Field("auto", description="how the scans are laid out; auto looks at the folder")
    split: str | None = Field(None, description="only these subjects: a text file of names, or a shipped list (thuman2_train, thuman2_test)")
    up: UpAxis = Field("auto", description="up axis of the raw scans; auto takes y, or the axis along which the subject is clearly taller")
    units: Units = Field("auto", description="unit of the raw scans, for the report only: every subject is brought to 1.80 m")
    yaw_step_deg: int = Field(1, ge=1, le=360, description="degrees between views around the subject (1 = 360 views)")
    pitch_deg: tuple[float, ...] = Field((0.0,), min_length=1, description="camera pitches; every yaw is drawn at each of them")
    size_px: int = Field(512, ge=16, le=4096, multiple_of=2, description="side of the square pictures, even: they are also read at half of it")
    light: Light = Field("prt", description="prt: SH light with baked shadows; sh: SH light without shadows; flat: the albedo itself")
    lights_per_view: int = Field(1, ge=1, le=16, description="pictures per view, each with its own random light")
    prt_directions: int = Field(256, ge=16, le=4096, description="light directions tried by the shadow bake")
    near_points: int = Field(500_000, ge=16, description="labelled points near the surface (sigma 5 cm); 1/16 as many are uniform in the cube")
    maps: tuple[SurfaceMap, ...] = Field((), description="also store each view's depth and normals at full size")
    jpeg_quality: int = Field(95, ge=50, le=100, description="of the colour pictures")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="equal seeds give equal files")
    renderer: RendererName = Field("auto", description="pyrender (OpenGL), raster (numba, no GL), or auto: pyrender where its GL works")
    overwrite: bool = Field(False, description="draw subjects anew that the folder holds with other settings; else that is an error")
    layout: Layout = Field("ncpifu", description="pifu: also PIFu's RENDER, MASK, PARAM and GEO folders beside the subjects")

    @field_validator("yaw_step_deg")
    @classmethod
    def _closes_the_circle(cls, step: int) -> int:
        if 360 % step:
            near = sorted((n for n in range(1, 361) if 360 % n == 0), key=lambda n: abs(n - step))[:2]
            raise ValueError(f"{step} does not divide 360, so one view would stand too near to the next; {min(near)} or {max(near)} would do")
        return step

    @field_validator("pitch_deg")
    @classmethod
    def _distinct_pitches(cls, pitches: tuple[float, ...]) -> tuple[float, ...]:
        if not all(-90 <= pitch <= 90 for pitch in pitches):
            raise ValueError("pitches must lie between -90 (from below) and 90 (from above)")
        if len({f"{pitch:+g}" for pitch in pitches}) < len(pitches):
            raise ValueError("pitches must differ")
        return pitches

    @field_validator("layout")
    @classmethod
    def _whole_degrees(cls, layout: Layout, info: ValidationInfo) -> Layout:
        if layout == "pifu" and any(pitch != round(pitch) for pitch in info.data.get("pitch_deg", ())):
            raise ValueError("PIFu's files are named by whole degrees: give whole pitches")
        return layout

    def decisive(self) -> dict[str, Any]:
        """What decides which files a subject consists of: all but where it is computed, who draws it, what else is drawn, and how it is also laid out."""
        others = {*EngineSettings.model_fields, "renderer", "dataset", "split", "layout", "overwrite"}
        others |= set() if self.maps else {"maps"}  # subjects drawn before there were maps stay valid
        return {key: value for key, value in dump(self).items() if key not in others}
