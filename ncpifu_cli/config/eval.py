"""Settings of `ncpifu eval`."""

from typing import Literal, get_args

from pydantic import Field, field_validator

from ncpifu_cli.config.base import LARGEST_SEED
from ncpifu_cli.config.engine import EngineSettings
from ncpifu_cli.config.render import UpAxis

ProtocolName = Literal["paper", "pifuhd", "icon", "econ", "sith"]
EvalDataset = Literal["synthetic", "thuman2", "buff", "customhumans", "renderpeople", "folder"]
Alignment = Literal["none", "similarity", "icp"]


class EvalConfig(EngineSettings):
    """What is compared, on which subjects, and how finely it is measured. The engine scores; networks run in the calling process."""

    dataset: EvalDataset = Field("synthetic", description="Kind of scans; synthetic is our own held-out humans.")
    data: str | None = Field(None, description="Folder of the scans; None is the dataset's place under the data root.")
    split: str | None = Field(None, description="List of subject names: a file, a shipped list (thuman2_test) or 'all'; None is the dataset's own rule.")
    up: UpAxis = Field("auto", description="Up axis of the raw scans; auto detects it and says so in report.json.")
    weights: tuple[str, ...] = Field((), description="Weights to run, FILE or NAME=FILE each; the first method is the one the others are compared with.")
    predictions: tuple[str, ...] = Field(
        (), description="NAME=FOLDER of meshes that another system wrote, <subject>_<yaw>.ply; or NAME=FOLDER/PATTERN with {subject} and {yaw}."
    )
    units: tuple[str, ...] = Field(
        ("m",),
        description="Unit of --predictions: m, cm, mm, ndc (half image = 1), metres per unit, or scan (the scan's own frame); NAME=UNIT for one.",
    )
    align: Alignment | None = Field(None, description="Lay every prediction on the truth first: similarity, icp (rigid), none; None: as each protocol does.")
    protocol: Literal[ProtocolName, "all"] = Field("paper", description="Whose Chamfer, P2S and Normal the tables show; all: paper's, and a table of all.")
    views: tuple[float, ...] = Field((0.0,), min_length=1, description="Yaw of each input view in degrees.")
    resolution: int = Field(256, ge=16, le=1024, description="Cells of the occupancy grid per axis for the predictions.")
    detail: bool = Field(False, description="Also score every network's surfaces with the detail that `reconstruct` adds, as <name>+detail.")
    limit: int | None = Field(None, ge=1, description="Use only the first N subjects (by name).")
    jobs: int = Field(1, ge=0, description="Processes that score subjects side by side; 0 = one per available core.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Fixes the light of the photos, the sampled points and the bootstrap.")
    samples: int = Field(100_000, ge=100, description="Area-uniform points per surface.")
    volume_points: int = Field(100_000, ge=100, description="Points in the box around the subject for the volumetric overlap.")
    f_score_cm: float = Field(1.0, gt=0, description="Distance within which the F-score counts a point as right.")
    normal_size_px: int = Field(512, ge=16, le=4096, description="Side of the normal maps and silhouettes that are compared.")
    figure_rows: int = Field(3, ge=0, le=50, description="Subjects in the picture: best to worst of the first method; 0 makes none.")
    device: str = Field("auto", description="Where the networks run: auto, cpu, cuda.")
    output: str | None = Field(None, description="Folder of the report; None is eval/<name> under the data root.")

    @property
    def protocols(self) -> tuple[ProtocolName, ...]:
        """The protocols that are measured; the main table is the first one's."""
        return get_args(ProtocolName) if self.protocol == "all" else (self.protocol,)

    @field_validator("views")
    @classmethod
    def _views_differ(cls, views: tuple[float, ...]) -> tuple[float, ...]:
        turned = [view % 360 for view in views]
        if len(set(turned)) != len(turned):
            raise ValueError("the same view is given twice")
        return views
