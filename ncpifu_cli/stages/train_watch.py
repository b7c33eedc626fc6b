"""How a run is doing on subjects it never trains on: scores at sampled points, and a picture of what it makes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, RenderedSubject, read_depth, read_view
from ncpifu_cli.data.network_input import resize_masked
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.geometry.extract import EmptySurface
from ncpifu_cli.models.build import Network
from ncpifu_cli.models.losses import depth_error_cm, gap_overlap, loss, scores
from ncpifu_cli.progress import Reporter
from ncpifu_cli.stages.preview import PAPER, captioned, clay_view
from ncpifu_cli.stages.reconstruct import reconstruct_view
from ncpifu_cli.stages.train_processes import Processes
from ncpifu_cli.stages.weights import LoadedModel

SIDES = (("front", 0.0), ("left side", -90.0), ("back", 180.0))
TILE_PX = 320
MARGIN_PX = 6
MOST_CHECKED_VIEWS = 64
BLANK = np.full((TILE_PX, TILE_PX, 3), PAPER, np.uint8)


def readable(subjects: list[RenderedSubject], config: TrainConfig, reporter: Reporter) -> list[RenderedSubject]:
    """Those of the watched subjects that can be read (their points, and views from all around); without `data.skip_bad` NcpifuError for one that cannot.

    So a broken one is met before the first step, not in the middle of a run; a broken view that was not looked at costs a run with `data.skip_bad` that view.
    """
    found = []
    for subject in subjects:
        try:
            subject.points  # noqa: B018  (read now, kept)
            for view in subject.views[:: -(-len(subject.views) // MOST_CHECKED_VIEWS)]:
                read_view(subject.folder, view)
                if "depth" in view:
                    read_depth(subject.folder, view, config.model.depth_layers)
        except NcpifuError as error:
            if not config.data.skip_bad:
                raise
            reporter.warn(f"not watched: {error.message}")
        else:
            found.append(subject)
    return found


@torch.inference_mode()
def validate(model: Network, config: TrainConfig, subjects: list[RenderedSubject], processes: Processes) -> dict[str, float]:
    """Scores on fixed, unaugmented views of `subjects`, of which every process takes its share.

    Error of the predicted depths in cm; IoU of the gaps along the rays where the network and the renders know them; and loss, IoU, precision and recall at
    sampled points, unless the encoder is trained alone.
    """
    count = len(subjects) * config.data.validation_views
    dataset = RenderDataset(
        subjects,
        config.data,
        config.model.image_size_px,
        seed=config.seed + 7919,
        length=count,
        augment=False,
        depth_stride=config.model.depth_stride,
        depth_layers=config.model.depth_layers,
    )
    alone = config.loss.occupancy == 0
    names = ("depth_cm",) if alone else ("occupancy", "iou", "precision", "recall", "depth_cm")
    sums: dict[str, float] = dict.fromkeys((*names, "read", "with_depth", "gap_hit", "gap_union"), 0.0)
    for index in range(processes.rank, count, processes.count):
        try:
            item = {name: tensor[None].to(processes.device) for name, tensor in dataset[index].items()}
        except NcpifuError:
            if not config.data.skip_bad:
                raise
            continue
        features = model.encode(item["image"])
        depth = features.seen.depth[-1]
        has_depth = bool(torch.isfinite(item["depth"]).any())  # renders may be without
        values = {
            "read": 1.0,
            "with_depth": float(has_depth),
            "depth_cm": depth_error_cm(depth, item["depth"], config.model.depth_scale) if has_depth else 0.0,
        }
        values["gap_hit"], values["gap_union"] = gap_overlap(depth, item["depth"], config.model.depth_scale)
        if not alone:
            prediction = model.query(features, item["points"])
            values |= {"occupancy": float(loss(prediction, item["inside"], config.loss)["occupancy"]), **scores(prediction, item["inside"])}
        sums = {name: sums[name] + values[name] for name in sums}
    total = processes.average(torch.tensor(list(sums.values()), dtype=torch.float64, device=processes.device)) * processes.count
    found = dict(zip(sums, total.tolist(), strict=True))
    if not (read := found.pop("read")):
        return {}
    found = {name: value / read for name, value in found.items()}
    with_depth, hit, union = (found.pop(name) for name in ("with_depth", "gap_hit", "gap_union"))
    if with_depth:
        found["depth_cm"] /= with_depth
    else:
        del found["depth_cm"]
    return found | ({"gap_iou": hit / union} if union else {})


def progress_picture(model: Network, config: TrainConfig, subjects: Sequence[RenderedSubject], device: torch.device) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, a row per subject: what the network saw; then front, left side and back, each as predicted and as the true photo from there.

    The first subject is seen in its first view, the next ones in views turned further.
    """
    loaded = LoadedModel(model, config.model, {}, device, "", Path())
    rows = []
    for number, subject in enumerate(subjects):
        view = subject.views[number * len(subject.views) // len(subjects)]
        rgb, mask = read_view(subject.folder, view)
        color, coverage = resize_masked(rgb, mask, config.model.image_size_px)
        image = np.clip(color + 0.5, 0, 255).astype(np.uint8)
        try:
            mesh = reconstruct_view(loaded, image, coverage, config.picture_resolution)
        except EmptySurface:
            mesh = None
        row = [(_fitted((image * (coverage[..., None] > 0)).astype(np.uint8)), f"{subject.name}, {view['yaw_deg']:.0f}°")]
        for name, turn_deg in SIDES:
            predicted = BLANK if mesh is None else clay_view(np.asarray(mesh.vertices) / HALF_EXTENT_M, np.asarray(mesh.faces), turn_deg, TILE_PX)
            row += [(predicted, name if mesh is not None else "no surface yet"), (_true_view(subject, view["yaw_deg"] + turn_deg), "truth")]
        rows.append(row)
    drawn = np.stack([tile for row in rows for tile, _ in row[1:]]) != BLANK
    half = int(np.abs(np.flatnonzero(drawn.any(axis=(0, 1, 3))) - TILE_PX // 2).max(initial=TILE_PX // 4)) + MARGIN_PX
    columns = slice(max(TILE_PX // 2 - half, 0), TILE_PX // 2 + half)
    return np.vstack([np.hstack([captioned(tile[:, columns], text) for tile, text in row]) for row in rows])


def _true_view(subject: RenderedSubject, yaw_deg: float) -> NDArray[np.uint8]:
    """The photo from nearest to this side, on paper."""

    def away(view: dict[str, Any]) -> float:
        return abs((view["yaw_deg"] - yaw_deg + 180) % 360 - 180)

    rgb, mask = read_view(subject.folder, min(subject.views, key=away))
    alpha = mask[..., None].astype(np.float32)
    return _fitted((rgb * alpha + PAPER * (1 - alpha)).astype(np.uint8))


def _fitted(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), np.uint8)
