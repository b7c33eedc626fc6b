import cv2
import numpy as np
import pytest

from ncpifu_cli.data.backdrops import Backdrops, fractal_grey, paste, thing
from ncpifu_cli.errors import NcpifuError


@pytest.mark.parametrize("family", ["studio", "room", "street", "foliage", "clutter", "noise"])
def test_every_drawn_family_is_a_varied_picture_and_a_function_of_the_generator(family):
    backdrops = Backdrops(families=(family,))
    first, again, other = (backdrops.draw(np.random.default_rng(seed), 60, 40) for seed in (1, 1, 2))
    assert first.shape == (60, 40, 3)
    assert np.isfinite(first).all() and first.min() >= 0 and first.max() <= 255
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1


def test_photographs_and_panoramas_of_a_folder_are_used(tmp_path):
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[..., 2] = 200  # red in every pixel: whatever is cropped, projected or recoloured from it stays red
    cv2.imwrite(str(tmp_path / "pano-a.png"), picture)
    cv2.imwrite(str(tmp_path / "photo-b.png"), picture)
    backdrops = Backdrops(tmp_path, families=())
    rng = np.random.default_rng(0)
    for family in backdrops.families:
        drawn = family(rng, 30, 50)
        assert drawn.shape == (30, 50, 3)
        assert drawn[..., 0].mean() > drawn[..., 1].mean() + 20


def test_a_folder_without_pictures_and_a_broken_picture_are_named(tmp_path):
    with pytest.raises(NcpifuError, match=r"no \.jpg or \.png"):
        Backdrops(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(NcpifuError, match=r"broken\.jpg"):
        Backdrops(tmp_path)


def test_fractal_noise_has_unit_spread_and_more_grain_when_rough():
    smooth, rough = (fractal_grey(np.random.default_rng(0), 64, 64, roughness) for roughness in (0.35, 0.9))
    assert smooth.std() == pytest.approx(1, abs=0.01)
    assert np.abs(np.diff(rough, axis=1)).mean() > 2 * np.abs(np.diff(smooth, axis=1)).mean()


def test_things_are_coverages_and_paste_obeys_them():
    rng = np.random.default_rng(3)
    for _ in range(30):
        cover = thing(rng, 40, 30)
        assert cover.shape == (40, 30) and cover.min() >= 0 and cover.max() <= 1
    below, above = np.zeros((40, 30, 3), np.float32), np.full((40, 30, 3), 100, np.float32)
    np.testing.assert_allclose(paste(below, above, cover), 100 * np.repeat(cover[..., None], 3, 2), atol=1e-4)
