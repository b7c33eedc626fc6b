"""Settings of `ncpifu render`."""

from typing import Literal

from pydantic import Field

from ncpifu_cli.config.base import Settings

Dataset = Literal["auto", "synthetic", "thuman2", "buff", "folder"]
Light = Literal["prt", "sh", "flat"]
RendererName = Literal["auto", "pyrender", "raster"]
UpAxis = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]
Units = Literal["auto", "m", "cm", "mm"]


class RenderSettings(Settings):
    """How scans become pictures and labels. Everything but `jobs` and `renderer` decides what is on disk and is part of a subject's hash."""

    dataset: Dataset = Field("auto", description="how the scans are laid out; auto looks at the folder")
    up: UpAxis = Field("auto", description="up axis of the raw scans; auto takes y, or z where the subject lies otherwise")
    units: Units = Field("auto", description="unit of the raw scans, for the report only: every subject is brought to 1.80 m")
    yaw_step_deg: int = Field(1, ge=1, le=360, description="degrees between views around the subject (1 = 360 views)")
    pitch_deg: tuple[float, ...] = Field((0.0,), min_length=1, description="camera pitches; every yaw is drawn at each of them")
    size_px: int = Field(512, ge=16, le=4096, description="side of the square pictures")
    light: Light = Field("prt", description="prt: SH light with baked shadows; sh: SH light without shadows; flat: the albedo itself")
    lights_per_view: int = Field(1, ge=1, le=16, description="pictures per view, each with its own random light")
    prt_directions: int = Field(128, ge=16, le=4096, description="light directions tried by the shadow bake")
    near_points: int = Field(250_000, ge=16, description="labelled points near the surface (sigma 5 cm); 1/16 as many are uniform in the cube")
    jpeg_quality: int = Field(95, ge=50, le=100, description="of the colour pictures")
    seed: int = Field(0, ge=0, description="equal seeds give equal files")
    renderer: RendererName = Field("auto", description="pyrender (OpenGL), raster (numba, no GL), or auto: pyrender where its GL works")
    jobs: int = Field(0, ge=0, description="processes; 0 = one per available core")
