"""`data check`: is a folder of renders fit to train on? Looks at files, labels and pictures, and says what is odd in a person's words."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import HELD_OUT_PREFIXES, read_json
from ncpifu_cli.data.dataset import read_picture
from ncpifu_cli.data.depth import decode_depth
from ncpifu_cli.data.samples import read_samples
from ncpifu_cli.data.scan_repair import guess_units
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import SUBJECT_HEIGHT_M, Camera, ndc_to_px
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.contact_sheet import spread_views

NEAR_INSIDE = (0.2, 0.5)  # share of the near points: a person has about 0.4, a convex body a little less than half; beyond, it is inside out or open
MASK_SHARE = (0.02, 0.6)  # of the picture
OUTSIDE_MASK = 0.01  # of the inside points may fall beside the mask: thin hair and hems; complete renders have below 0.001
# of a view, and how they are read
PICTURES = {
    "rgb": cv2.IMREAD_COLOR,
    "mask": cv2.IMREAD_GRAYSCALE,
    "depth": cv2.IMREAD_UNCHANGED,
    "depth_map": cv2.IMREAD_UNCHANGED,
    "normal_map": cv2.IMREAD_UNCHANGED,
}
DARK = 12  # grey level that JPEG leaves around the subject


@dataclass
class DataReport:
    """What a folder of renders holds.

    Attributes: folder. subjects: complete ones; held_out: how many of them training leaves out. views, sizes_px: of all.
        leftovers: folders of interrupted runs. checked_views: how many pictures were opened.
        heights: unit of the raw scans ("own": a scale of their own) -> (lowest, median, highest) raw height; units: unit -> number of subjects.
        near_inside: (lowest, median, highest) share of inside labels.
        touching_border: subjects whose mask touches the picture's border, with how many of the opened views. notes: repair -> number of subjects.
        problems: subject -> what is wrong with it; training would fail or learn nonsense.
    """

    folder: Path
    subjects: int = 0
    held_out: int = 0
    views: int = 0
    sizes_px: dict[int, int] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    checked_views: int = 0
    units: dict[str, int] = field(default_factory=dict)
    heights: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    near_inside: tuple[float, float, float] | None = None
    touching_border: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)


def check_renders(folder: Path, views_per_subject: int = 4, reporter: Reporter = SILENT) -> DataReport:
    """Look at every subject of a folder written by `render`: that all files are there, that the labels lie where the pictures show a person.

    Args:
        views_per_subject: how many views of each, spread over all, are opened; 0 opens all of them.

    Raises NcpifuError where no complete subject is in `folder`.
    """
    if not Path(folder).is_dir():
        raise NcpifuError(f"{folder} is not a folder", "give the folder that `ncpifu render` wrote")
    markers = sorted(Path(folder).glob("[!.]*/subject.json"))
    if not markers:
        raise NcpifuError(f"no complete subject in {folder}", "give the folder that `ncpifu render` wrote")
    report = DataReport(Path(folder), leftovers=sorted(path.name for path in Path(folder).glob(".tmp-*")))
    heights, balances, notes, sizes = defaultdict[str, list[float]](list), list[float](), Counter[str](), Counter[int]()
    with reporter.task("checking", len(markers)) as task:
        for marker in markers:
            try:
                subject = _Subject(marker)
                subject.check(views_per_subject)
            except NcpifuError as error:
                report.problems[marker.parent.name] = [error.message]
                continue
            finally:
                task.advance(1, marker.parent.name)
            report.subjects += 1
            report.held_out += marker.parent.name.startswith(HELD_OUT_PREFIXES)
            report.views += len(subject.views)
            report.checked_views += subject.opened
            sizes[subject.size_px] += 1
            heights[subject.units].append(subject.height)
            balances.append(subject.near_inside)
            notes.update({_without_numbers(note) for note in subject.notes if not note.startswith("height")})
            if subject.touching:
                report.touching_border[subject.name] = subject.touching
            if subject.problems:
                report.problems[subject.name] = subject.problems
    report.sizes_px, report.notes = dict(sizes), dict(notes.most_common())
    report.units = {units: len(values) for units, values in heights.items()}
    report.heights = {units: _range(values) for units, values in heights.items()}
    report.near_inside = _range(balances) if balances else None
    return report


class _Subject:
    """One complete folder and what is found in it."""

    def __init__(self, marker: Path) -> None:
        manifest = read_json(marker)
        try:
            self.name, self.size_px = str(manifest["name"]), int(manifest["size_px"])
            self.height = SUBJECT_HEIGHT_M / float(manifest["similarity"]["scale"])
            self.units = str(manifest.get("units", guess_units(self.height)))  # older renders do not tell
            self.views: list[dict[str, Any]] = list(manifest["views"])
            self.notes: list[str] = list(manifest["notes"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise NcpifuError(f"{marker} is not a subject's manifest: {error!r}") from error
        self.folder = marker.parent
        self.problems: list[str] = []
        self.touching = self.opened = 0
        self.near_inside = 0.0

    def check(self, views_per_subject: int) -> None:
        files = {view[kind] for view in self.views for kind in PICTURES if kind in view}
        missing = sorted(file for file in files if not (self.folder / file).is_file())
        if missing:
            self._complain(f"{len(missing)} of {len(files)} files are missing: {missing[0]}{', ...' if len(missing) > 1 else ''}")
        if not self.views:
            self._complain("no views")
        samples = read_samples(self.folder / "samples.npz")
        inside = samples.near[samples.near_inside]
        self.near_inside = float(samples.near_inside.mean())
        if not NEAR_INSIDE[0] <= self.near_inside <= NEAR_INSIDE[1]:
            self._complain(f"{self.near_inside:.0%} of the near points are inside: is the surface closed and wound outwards?")
        for view in spread_views(self.views, views_per_subject or len(self.views)) if self.views and not missing else []:
            self.opened += 1
            self._check_view(view, inside)

    def _check_view(self, view: dict[str, Any], inside_m: NDArray[np.float32]) -> None:
        pictures = {}
        for kind, flags in PICTURES.items():
            if kind in view:
                try:
                    pictures[kind] = read_picture(self.folder / view[kind], flags)
                except NcpifuError:
                    self._complain(f"{view[kind]} is not a picture, or cut short")
                    return
        if "depth" in pictures:
            try:
                decode_depth(pictures["depth"], self.size_px)
            except ValueError as error:
                self._complain(f"{view['depth']}: {error}")
        rgb, mask = pictures["rgb"], pictures["mask"]
        if rgb.shape[:2] != mask.shape or mask.shape != (self.size_px, self.size_px):
            self._complain(f"{view['rgb']} or its mask is not {self.size_px} px wide and tall")
            return
        covered = mask > 127
        self.touching += bool(covered[0].any() or covered[-1].any() or covered[:, 0].any() or covered[:, -1].any())
        if not MASK_SHARE[0] <= covered.mean() <= MASK_SHARE[1]:
            self._complain(f"{view['mask']} covers {covered.mean():.1%} of the picture")
        around = cv2.dilate(covered.astype(np.uint8), np.ones((17, 17), np.uint8)) == 0  # JPEG's blocks bleed by up to 8 px
        if around.any() and np.percentile(rgb[around], 99.9) > DARK:
            self._complain(f"{view['rgb']} has something beside the mask")
        beside = 1 - _lit(inside_m, view, covered)
        if beside > OUTSIDE_MASK:
            self._complain(f"{beside:.0%} of the inside points fall beside {view['mask']}: camera and labels disagree")

    def _complain(self, problem: str) -> None:
        self.problems.append(problem)


def _lit(points_m: NDArray[np.float32], view: dict[str, Any], mask: NDArray[np.bool_]) -> float:
    """Share of the points that project onto the mask or into the pixel beside it."""
    size = mask.shape[0]
    column, row = np.floor(ndc_to_px(Camera(view["yaw_deg"], view["pitch_deg"]).world_to_ndc(points_m), size)).astype(int).clip(0, size - 1).T
    wider = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return float(wider[row, column].mean()) if len(points_m) else 0.0


def _without_numbers(note: str) -> str:
    return re.sub(r"\d[\d.e+]*", "...", note)


def _range(values: list[float]) -> tuple[float, float, float]:
    return min(values), float(np.median(values)), max(values)
