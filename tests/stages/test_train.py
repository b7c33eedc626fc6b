"""The training loop on the tiny profile: it learns, resumes exactly, refuses clearly, and leaves whole files."""

import csv
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from render_fixtures import losses, write_balls

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, find_subjects, read_points, read_view
from ncpifu_cli.data.perspective import Perspective
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.build import build, build_profile
from ncpifu_cli.models.checkpoint import load_weights
from ncpifu_cli.models.losses import depth_loss, slope_loss
from ncpifu_cli.stages.train import _told, train
from ncpifu_cli.stages.train_loader import choose_subjects, in_background
from ncpifu_cli.stages.train_state import learning_rate
from ncpifu_cli.stages.train_warm_start import warm_start

DEPTH = {"depth_stride": 4, "depth_layers": 2}


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("renders"))


def test_held_out_subjects_are_never_read(renders: Path) -> None:
    subjects = find_subjects(renders)
    assert [s.name for s in subjects] == [f"train-{i:06d}" for i in range(4)]
    training, watched = choose_subjects(subjects, load(TrainConfig, "tiny", ["data.validation_subjects=2"]).data)
    assert len(watched) == 2
    assert not {s.name for s in training} & {s.name for s in watched}


def test_labels_follow_the_points(renders: Path) -> None:
    points = read_points(renders / "train-000001" / "samples.npz")
    metres, inside = points.draw(2000, np.random.default_rng(0))
    assert inside.sum() == 1000
    assert ((np.linalg.norm(metres, axis=1) < 0.5) == inside).mean() > 0.999


def test_items_are_functions_of_their_index_and_inside_points_project_into_the_mask(renders: Path) -> None:
    config = load(TrainConfig, "tiny")
    first, second = (RenderDataset(find_subjects(renders), config.data, 64, seed=3, length=8, **DEPTH) for _ in range(2))
    _ = second[5]
    for index in (0, 7):
        assert all(torch.allclose(a.float(), b.float(), 0, 0, equal_nan=True) for a, b in zip(first[index].values(), second[index].values(), strict=True))
    plain = RenderDataset(find_subjects(renders), config.data, 64, seed=3, length=8, augment=False, **DEPTH)[2]
    xyz = plain["points"]
    column, row = ((xyz[:, 0] + 1) * 32).long().clamp(0, 63), ((1 - xyz[:, 1]) * 32).long().clamp(0, 63)
    on_subject = plain["image"].abs().sum(0)[row, column] > 0
    assert on_subject[plain["inside"]].float().mean() > 0.97
    before_or_behind = xyz[-16:]  # a quarter of the 64 outside points
    assert on_subject[-16:].float().mean() > 0.8
    assert not plain["inside"][-16:].any()
    assert before_or_behind[:, 2].abs().max() > 0.75  # farther from the ball than any near-surface sample


def test_it_learns_a_ball_and_draws_it(renders: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    learning = ["steps=200", "validate_every=200", "optim.lr=0.003", "optim.ema=0.9", "optim.batch_size=8"]
    config = load(TrainConfig, "tiny", [*learning, "log_every=40", "picture_every=200", "picture_resolution=32", "picture_subjects=1"])
    result = train(config, renders, run)
    assert result.metrics["iou"] > 0.55  # guessing gives 0.5 at best on balanced points
    _, found, meta = load_weights(result.weights)
    assert found == config.model
    assert meta["steps"] == 200
    assert {p.name for p in run.iterdir()} >= {"config.json", "metrics.csv", "last.safetensors", "weights.safetensors", "pictures"}
    picture = cv2.imread(str(run / "pictures" / "step-000200.png"))
    width = picture.shape[1] // 7  # input; predicted and true from three sides
    drawn = (np.abs(picture[:300].astype(int) - 244) > 8).any(axis=2)
    for column in (1, 3, 5):
        predicted, true = drawn[:, column * width : (column + 1) * width], drawn[:, (column + 1) * width : (column + 2) * width]
        assert (predicted & true).sum() > 0.5 * (predicted | true).sum()


def test_the_log_names_what_a_run_is_made_of(renders: Path, tmp_path: Path) -> None:
    train(load(TrainConfig, "tiny", ["steps=2", "validate_every=2"]), renders, tmp_path)
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = {row["name"]: float(row["value"]) for row in csv.DictReader(file)}
    assert {"total", "occupancy", "depth", "balance", "grad_norm", "lr", "skipped", "iou", "precision", "recall", "val_iou", "val_recall"} <= set(rows)
    assert 1 <= rows["local_perplexity"] <= 16 and 0 <= rows["global_open"] <= 1
    assert rows["images_per_s"] > 0 and 0 <= rows["data_wait"] <= 1 and rows["memory_mb"] > 50


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(renders: Path, tmp_path: Path) -> None:
    config = load(TrainConfig, "tiny", ["steps=6", "validate_every=3"])
    whole = train(config, renders, tmp_path / "whole")
    with pytest.raises(_PulledPlug):
        train(config, renders, tmp_path / "cut", reporter=_StopAfter(4))  # after the checkpoint at step 3
    resumed = train(config, renders, tmp_path / "cut", resume=True)
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")
    a, b = (load_weights(r.weights)[0].state_dict() for r in (whole, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)


class _PulledPlug(RuntimeError):
    pass


class _StopAfter:
    """A reporter that pulls the plug at the n-th step."""

    def __init__(self, steps: int) -> None:
        self.left = steps + 1  # the first advance tells the starting step

    def info(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def task(self, description: str, total: float | None) -> "_StopAfter":
        return self

    def __enter__(self) -> "_StopAfter":
        return self

    def __exit__(self, *_: object) -> None: ...

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise _PulledPlug


def test_time_limit_saves_and_stops(renders: Path, tmp_path: Path) -> None:
    config = load(TrainConfig, "tiny", ["steps=100000"])
    result = train(config, renders, tmp_path / "run", limit_seconds=1.0)
    assert 0 < result.steps < 100000
    assert result.weights.exists()


def test_a_run_starts_from_other_weights_and_tells_what_did_not_fit(renders: Path, tmp_path: Path) -> None:
    first = train(load(TrainConfig, "tiny", ["steps=2"]), renders, tmp_path / "first")
    given = load_weights(first.weights)[0].state_dict()
    same, other = build_profile("tiny"), build(load(TrainConfig, "tiny", ["model.classifier=[24, 16]"]).model)
    assert not warm_start(same, first.weights).fresh
    assert all(torch.equal(value, given[name]) for name, value in same.state_dict().items())
    report = warm_start(other, first.weights)
    assert report.fresh and all(name.startswith("classifier") for name in report.fresh)
    assert len(report.taken) + len(report.unused) == len(given)
    assert "fresh: classifier" in str(report)
    train(load(TrainConfig, "tiny", ["steps=1", "optim.lr=1e-12"]), renders, tmp_path / "second", init_from=first.weights)
    moved = load_weights(tmp_path / "second" / "weights.safetensors")[0].state_dict()
    assert all(torch.allclose(value, given[name], atol=1e-6) for name, value in moved.items())
    wider = build(load(TrainConfig, "tiny", ["model.depth_layers=4", "model.width=24"]).model)
    report = warm_start(wider, first.weights)
    assert report.grown == ["depth_head.read.weight", "depth_head.read.bias"]
    assert "local_branch.fusion.enter.bias" in report.fresh  # rows of other layers are no list that goes on
    assert torch.equal(wider.state_dict()["depth_head.read.weight"][:2], given["depth_head.read.weight"])
    assert "with fresh rows added: depth_head" in str(report)
    with pytest.raises(NcpifuError, match="no tensor"):
        warm_start(torch.nn.Linear(2, 2), first.weights)


def test_refusals(renders: Path, tmp_path: Path) -> None:
    config = load(TrainConfig, "tiny", ["steps=2"])
    train(config, renders, tmp_path / "run")
    with pytest.raises(NcpifuError, match="already holds a run"):
        train(config, renders, tmp_path / "run")
    other = load(TrainConfig, "tiny", ["steps=4", "model.width=8"])
    with pytest.raises(NcpifuError, match="other model settings"):
        train(other, renders, tmp_path / "run", resume=True)
    with pytest.raises(NcpifuError, match="no rendered training subjects"):
        train(config, tmp_path, tmp_path / "other")
    with pytest.raises(NcpifuError, match="4 subjects: too few to keep 4") as caught:
        train(load(TrainConfig, "tiny", ["data.validation_subjects=4"]), renders, tmp_path / "third")
    assert "--set data.validation_subjects=1" in (caught.value.hint or "")
    (tmp_path / "run" / "last.safetensors").write_bytes(b"cut off")
    with pytest.raises(NcpifuError, match=r"last\.safetensors"):
        train(config, renders, tmp_path / "run", resume=True)


def test_broken_samples_name_the_file(renders: Path, tmp_path: Path) -> None:
    (tmp_path / "samples.npz").write_bytes((renders / "train-000000" / "samples.npz").read_bytes()[:200])
    with pytest.raises(NcpifuError, match=r"samples\.npz"):
        read_points(tmp_path / "samples.npz")


@pytest.mark.parametrize(("perspective", "wrong"), [(0.0, 0.04), (1.0, 0.07)])  # what a near camera sees is made of what a far one saw
def test_depth_targets_agree_with_the_labels(renders: Path, perspective: float, wrong: float) -> None:
    """Under augmentation too, points beyond the front or the back surface are outside."""
    config = load(
        TrainConfig, "tiny", ["data.points=2000", "data.augment.mask=0", "data.augment.cut=0.5", f"data.augment.perspective={perspective}"]
    )  # the picture's own outline tells where there is a surface
    dataset = RenderDataset(find_subjects(renders), config.data, 256, seed=0, length=6, **DEPTH)
    for index in range(6):
        item = dataset[index]
        size = item["depth"].shape[-1]
        xyz, inside = item["points"], item["inside"]
        column = ((xyz[:, 0] + 1) * size / 2).long().clamp(0, size - 1)
        row = ((1 - xyz[:, 1]) * size / 2).long().clamp(0, size - 1)
        front, back = item["depth"][:, row, column]
        seen = (item["image"] != 0).any(dim=0)[row * 4 + 2, column * 4 + 2]  # beside it the target continues the nearest surface
        assert torch.isfinite(front[seen]).all()
        beyond, between = (xyz[:, 2] > front + 0.06) | (xyz[:, 2] < back - 0.06), (xyz[:, 2] < front - 0.06) & (xyz[:, 2] > back + 0.06)
        assert inside[beyond].float().mean() < wrong  # at the outline a pixel holds many depths
        assert inside[between & seen].float().mean() > 1 - wrong
        assert inside[~seen].float().mean() < wrong


def test_the_camera_of_an_item_is_the_one_that_warped_it(renders: Path) -> None:
    off = ["data.augment.cut=0", "data.points=200"]
    far, near = (
        RenderDataset(find_subjects(renders), load(TrainConfig, "tiny", [*off, f"data.augment.perspective={share}"]).data, 64, seed=3, length=4, **DEPTH)
        for share in (0, 1)
    )
    for index in range(4):
        assert not far[index]["camera"].any()
        camera = Perspective.from_parameters(near[index]["camera"].numpy())
        assert camera.undone(near[index]["points"].numpy()) == pytest.approx(far[index]["points"].numpy(), abs=1e-5)


def test_views_without_depth_stay_as_they_were_drawn(renders: Path) -> None:
    """A near camera's view is made by depth: without, neither picture nor labels may move."""
    subjects = find_subjects(renders)
    for subject in subjects:
        subject.views = [{name: value for name, value in view.items() if name != "depth"} for view in subject.views]
    far, near = (
        RenderDataset(subjects, load(TrainConfig, "tiny", [f"data.augment.perspective={share}"]).data, 64, seed=0, length=2, **DEPTH)[1] for share in (0, 1)
    )
    assert all(torch.equal(far[name], near[name]) for name in ("image", "points", "inside"))
    assert torch.isnan(near["depth"]).all()


def test_depth_loss_by_hand() -> None:
    predicted = torch.zeros(1, 1, 2, 2, 2)
    true = torch.full((1, 2, 2, 2), torch.nan)
    assert depth_loss(predicted, true, 8.0) == 0
    true[0, 0, 0, 0] = 0.25  # two units of phi away: 2 - beta / 2
    assert depth_loss(predicted, true, 8.0).item() == pytest.approx(1.95)


def test_gaps_may_count_more_than_their_absence() -> None:
    predicted = torch.zeros(1, 1, 4, 1, 2)
    true = torch.tensor([0.25, -0.25, 0.125, -0.125]).view(1, 4, 1, 1).repeat(1, 1, 1, 2)
    true[0, 2:, 0, 1] = 0  # the second pixel has no gap
    each = [0.95 if unit == 1 else 1.95 if unit == 2 else 0.0 for unit in (2, 2, 1, 1, 2, 2, 0, 0)]
    assert depth_loss(predicted, true, 8.0).item() == pytest.approx(sum(each) / 8)
    assert depth_loss(predicted, true, 8.0, gap_weight=3).item() == pytest.approx((sum(each) + 2 * 2 * 0.95) / 8)
    assert depth_loss(predicted[:, :, :2], true[:, :2], 8.0, gap_weight=3).item() == pytest.approx(1.95)


def test_a_share_of_the_images_is_told_the_true_surfaces() -> None:
    true = torch.rand(4, 2, 3, 3)

    def told(share: str, surface_depth: str = "true", first: int = 0, count: int = 4) -> torch.Tensor | None:
        return _told(true[:count], load(TrainConfig, "tiny", [f"true_surfaces={share}", f"model.surface_depth={surface_depth}"]), first)

    half = told("0.5")
    assert half is not None
    assert torch.equal(half[1::2], true[1::2])
    assert half[::2].isnan().all()
    # One image per pass or process is told as it would be in one large batch.
    single = [told("0.28", first=number, count=1) for number in range(100)]
    assert sum(bool(torch.isfinite(one).all()) for one in single if one is not None) == 28
    together = told("0.28", first=40)
    assert together is not None
    assert [bool(torch.isfinite(one).all()) for one in together] == [bool(torch.isfinite(one).all()) for one in single[40:44] if one is not None]
    everyone = told("true")  # what runs wrote before there were shares
    assert everyone is not None
    assert torch.equal(everyone, true)
    assert torch.isfinite(true).all()  # the loss still knows them
    assert told("0") is None
    assert told("1", surface_depth="false") is None


def test_learning_rate_schedule() -> None:
    config = load(TrainConfig, "tiny", ["steps=102", "optim.warmup_steps=2", "optim.lr=1.0"])
    assert learning_rate(config, 0) == pytest.approx(0.5)
    assert learning_rate(config, 2) == pytest.approx(1.0)
    assert learning_rate(config, 52) == pytest.approx(0.01 + 0.99 * 0.5)
    assert learning_rate(config, 102) == pytest.approx(0.01)


def test_learning_rate_over_a_time_limit() -> None:
    config = load(TrainConfig, "tiny", ["steps=1000000", "optim.warmup_steps=2", "optim.lr=1.0", "optim.schedule=time"])
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.5)
    assert learning_rate(config, 7, 0.0) == pytest.approx(1.0)
    assert learning_rate(config, 7, 0.5) == pytest.approx(0.01 + 0.99 * 0.5)
    assert learning_rate(config, 9, 1.0) == pytest.approx(0.01)
    short = load(TrainConfig, "tiny", ["steps=102", "optim.warmup_steps=2", "optim.lr=1.0", "optim.schedule=time"])
    assert learning_rate(short, 102, 0.3) == pytest.approx(0.01)  # the steps are over before the time is


def test_background_loading_keeps_order_and_errors() -> None:
    def items():
        yield from range(5)
        raise NcpifuError("item 5 is broken")

    seen = []
    with pytest.raises(NcpifuError, match="item 5"):
        seen.extend(iter_into(seen, in_background(items())))
    assert seen == [0, 1, 2, 3, 4]


def iter_into(seen: list, items):
    for item in items:
        seen.append(item)
    return ()


def test_slope_loss_by_hand() -> None:
    true = torch.zeros(1, 2, 2, 3)
    true[..., 2] = math.nan  # the last column is empty
    predicted = torch.zeros(1, 1, 2, 2, 3)
    predicted[..., 0] = 8.0  # a step of 8 across that is not there, in 4 pairs; 4 pairs along that are right
    assert slope_loss(predicted, true, 8.0).item() == pytest.approx(4.0)
    assert slope_loss(predicted + 5.0, true, 8.0).item() == pytest.approx(4.0)  # depth itself does not count
    assert slope_loss(predicted, torch.full_like(true, math.nan), 8.0).item() == 0


def test_depth_may_be_asked_for_at_half_the_resolution(renders: Path) -> None:
    config = load(TrainConfig, "tiny", ["model.depth_stride=2", "loss.slope=1"])
    item = RenderDataset(find_subjects(renders), config.data, 64, seed=0, length=1, depth_stride=2, depth_layers=2)[0]
    assert item["depth"].shape == (2, 32, 32)
    coarse = RenderDataset(find_subjects(renders), config.data, 64, seed=0, length=1, **DEPTH)[0]["depth"]
    known = torch.isfinite(coarse) & torch.isfinite(item["depth"][:, ::2, ::2])
    assert known.sum() > 100
    assert (coarse - item["depth"][:, ::2, ::2])[known].abs().median() < 0.02
    network = build(config.model)
    assert network.encode(torch.zeros(1, 3, 64, 64)).seen.depth.shape == (2, 1, 2, 32, 32)


def test_small_networks_read_pictures_at_half_the_size(renders: Path) -> None:
    subject = find_subjects(renders)[0]
    (_, mask), (half_rgb, half_mask) = (read_view(subject.folder, subject.views[0], half) for half in (False, True))
    assert half_rgb.shape == (32, 32, 3) and half_mask.shape == (32, 32)
    assert (half_mask == (cv2.resize(mask.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA) > 0.5)).mean() > 0.98
    config = load(TrainConfig, "tiny")
    whole, small = (RenderDataset([subject], config.data, size, seed=0, length=1, augment=False, **DEPTH)[0]["image"] for size in (64, 16))
    assert small.shape == (3, 16, 16)
    reduced = torch.nn.functional.avg_pool2d(whole[None], 4)[0]
    assert (small - reduced).abs().mean() < 0.06


def test_a_picture_that_is_cut_off_or_of_another_size_is_named(renders: Path, tmp_path: Path) -> None:
    subject = tmp_path / "train-000001"
    shutil.copytree(renders / "train-000001", subject)
    view = find_subjects(renders)[1].views[0]
    picture = subject / view["rgb"]
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) * 6 // 10])  # OpenCV would fill up the rest
    with pytest.raises(NcpifuError, match=picture.name):
        read_view(subject, view)
    picture.write_bytes(whole)
    read_view(subject, view)
    mask = subject / view["mask"]
    cv2.imwrite(str(mask), cv2.imread(str(mask))[::2])
    with pytest.raises(NcpifuError, match=mask.name):
        read_view(subject, view)


def test_a_manifest_without_its_entries_is_named(renders: Path, tmp_path: Path) -> None:
    shutil.copytree(renders / "train-000001", tmp_path / "train-000001")
    (tmp_path / "train-000001" / "subject.json").write_text('{"name": "train-000001", "views": []}')
    with pytest.raises(NcpifuError, match="size_px"):
        find_subjects(tmp_path)
