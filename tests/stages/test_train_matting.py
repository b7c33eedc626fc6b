import json

import numpy as np
import pytest
import torch

from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.composites import Compositor, find_views
from ncpifu_cli.data.matting_net import MattingNet, load_matting
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages import train_matting as stage
from tests.matting_fixtures import save_subjects

SMALL = ((64, 64), (96, 64))  # at (64, 32) the lowest map is 2 x 1, which bfloat16 convolutions of some CPUs (AMX, torch 2.13) fill with garbage


def test_loss_is_least_for_the_truth_and_ignores_what_has_no_weight():
    alpha = torch.zeros(2, 1, 8, 8)
    alpha[..., 2:6, 2:6] = 1
    weight = torch.ones_like(alpha)
    right, wrong, off_by_one = 20 * (alpha - 0.5), 20 * (0.5 - alpha), 20 * (alpha.roll(1, 3) - 0.5)
    values = [float(stage.matting_loss(logits, alpha, weight)) for logits in (right, off_by_one, wrong)]
    assert values[0] < 0.01 < values[1] < values[2]
    weight[..., :4] = 0
    changed = right.clone()
    changed[..., :4] *= -1
    assert float(stage.matting_loss(changed, alpha, weight)) == pytest.approx(float(stage.matting_loss(right, alpha, weight)))


def test_batches_are_repeatable_and_reuse_what_was_drawn(tmp_path):
    compositor = Compositor(find_views(save_subjects(tmp_path)), Backdrops(families=("noise",)), pool=4)

    def first_batches():
        fresh = Compositor(compositor.views, compositor.backdrops, pool=4)
        batches = stage._batches(fresh, np.random.default_rng(0), 2, SMALL)
        return [next(batches) for _ in range(6)]

    for one, two in zip(first_batches(), first_batches(), strict=True):
        assert one[0].shape[0] == 2 and one[1].shape[2:] == one[0].shape[2:] and one[0].abs().max() <= 1
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_network_learns_a_picture_by_heart():
    torch.manual_seed(0)
    net = MattingNet(widths=(8, 8, 16, 16, 16), depths=(0, 0, 1, 0, 0))
    image = torch.rand(2, 3, 64, 64) * 0.4 - 1
    alpha = torch.zeros(2, 1, 64, 64)
    alpha[0, :, 10:50, 20:40] = alpha[1, :, 20:60, 5:30] = 1
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(40):
        value = stage.matting_loss(net(image + alpha), alpha, torch.ones_like(alpha))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert float(value.detach()) < 0.3


def test_training_leaves_weights_and_scores_and_goes_on_from_them(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "validation_iou", lambda net, compositor: [0.25, 0.75])
    renders = save_subjects(tmp_path / "renders")
    weights = stage.train_matting(renders, tmp_path / "run", steps=3, batch_size=2, shapes=SMALL, validate_every=2)
    assert isinstance(load_matting(weights), MattingNet)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3] and rows[-1]["iou_median"] == 0.5
    again = stage.train_matting(renders, tmp_path / "more", start=weights, steps=2, batch_size=2, shapes=SMALL, limit_seconds=1e-9)
    before, after = load_matting(weights).state_dict(), load_matting(again).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # no time: nothing changes


def test_validation_scores_a_network_against_the_truth(tmp_path):
    compositor = Compositor(find_views(save_subjects(tmp_path)), Backdrops(families=("studio",)), pool=4)
    net = MattingNet().eval()
    net.answer[1].bias.data.fill_(50.0)  # answers "person" everywhere
    scores = stage.validation_iou(net, compositor, count=6)
    assert scores and all(0 < score < 1 for score in scores)


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(NcpifuError, match="no rendered"):
        stage.train_matting(tmp_path, tmp_path / "run")
