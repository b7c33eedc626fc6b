import numpy as np
import pytest

from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.composites import Compositor, _in_this_light, _placed, _shadowed, _without_fringe, camera, find_views
from ncpifu_cli.errors import NcpifuError
from tests.matting_fixtures import save_subjects
from tests.photo_fixtures import draw_person


@pytest.fixture(scope="module")
def compositor(tmp_path_factory):
    return Compositor(find_views(save_subjects(tmp_path_factory.mktemp("renders"))), Backdrops(families=("studio",)), pool=8)


def test_training_and_held_out_subjects_are_told_apart_by_name(tmp_path):
    save_subjects(tmp_path)
    assert {view.rgb.parent.parent.name for view in find_views(tmp_path)} == {"train-000001", "train-000002"}
    assert {view.rgb.parent.parent.name for view in find_views(tmp_path, held_out=True)} == {"test-000001"}
    assert len(find_views(tmp_path)) == 4
    with pytest.raises(NcpifuError, match="no rendered training subjects"):
        find_views(tmp_path / "none")


def test_composites_are_a_function_of_the_generator_and_show_what_they_say(compositor):
    covered = []
    for seed in range(25):
        composite = compositor.draw(np.random.default_rng(seed), 96, 64)
        assert composite.rgb.shape == (96, 64, 3) and composite.rgb.dtype == np.uint8
        for values in (composite.alpha, composite.weight):
            assert values.shape == (96, 64) and values.min() >= 0 and values.max() <= 1
        covered.append(float((composite.alpha > 0.5).mean()))
    assert 0.05 < np.mean(covered) < 0.6  # people are there, and so is background
    assert min(covered) < 0.03 and max(covered) > 0.2  # small or absent, and large
    views, backdrops = compositor.views, compositor.backdrops
    first, again = (Compositor(views, backdrops, pool=8).draw(np.random.default_rng(5), 96, 64) for _ in range(2))
    np.testing.assert_array_equal(first.rgb, again.rgb)


def test_the_black_around_a_rendering_does_not_come_along():
    bgr = np.zeros((80, 60, 3), np.uint8)
    bgr[20:60, 15:45] = 240
    bgr[19] = bgr[60] = bgr[20:60, 14] = bgr[20:60, 45] = 0
    bgr[19, 15:45] = bgr[60, 15:45] = 120  # half covered, mixed with black
    mask = np.where(bgr[..., 0] >= 120, 255, 0).astype(np.uint8)
    for scale in (1.0, 0.4):
        rgb, cover = _without_fringe(bgr, mask, scale)
        assert rgb[cover > 0.05].min() > 225


def test_people_are_placed_at_the_asked_height():
    rgb, mask = draw_person(200, 256)
    for share in (0.3, 0.7, 0.9):
        tall = []
        for seed in range(9):
            _, cover = _placed(np.random.default_rng(seed), rgb.astype(np.float32), mask.astype(np.float32), 300, 300, share, True)
            tall.append(np.count_nonzero(cover.max(1) > 0.5))
        assert np.median(tall) == pytest.approx(share * 300, rel=0.1)  # some lie on their side or stand at the border


def test_far_people_are_neither_asked_for_nor_forbidden(compositor):
    rng = np.random.default_rng(0)
    blank = np.full((200, 200, 3), 128, np.float32)
    alpha, weight = np.zeros((200, 200), np.float32), np.ones((200, 200), np.float32)
    ignored = []
    for _ in range(8):
        _, far_alpha, far_weight = compositor._person(rng, blank, alpha, weight, 0.11, False)
        assert far_alpha.max() == 0
        ignored.append(far_weight.min())
    assert min(ignored) < 0.5
    _, near_alpha, near_weight = compositor._person(rng, blank, alpha, weight, 0.6, True)
    assert near_alpha.max() > 0.9 and near_weight.min() == 1


def test_shadows_darken_and_light_follows_the_scene():
    rng = np.random.default_rng(0)
    _, mask = draw_person(100, 128)
    cover = mask.astype(np.float32)
    scene = np.full((128, 100, 3), 200, np.float32)
    shadowed = _shadowed(rng, scene, cover)
    assert (shadowed <= scene + 1e-3).all() and shadowed.min() < 190
    dark, bright = (
        np.mean([_in_this_light(np.random.default_rng(seed), np.full_like(scene, 120), cover, np.full_like(scene, level))[mask].mean() for seed in range(20)])
        for level in (10, 250)
    )
    assert bright > dark + 20


def test_the_camera_keeps_size_and_type_and_what_the_picture_shows():
    picture = np.zeros((64, 64, 3), np.float32)
    picture[:, 32:] = 220
    for seed in range(20):
        photo = camera(np.random.default_rng(seed), picture)
        assert photo.shape == (64, 64, 3) and photo.dtype == np.uint8
        assert photo[:, 36:].mean() > photo[:, :28].mean() + 20
