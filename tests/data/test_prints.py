import cv2
import numpy as np

from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.prints import printed

DRAWN = Backdrops()


def person(size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A grey rectangle with folds, as bright below as above."""
    cover = np.zeros((size, size), np.float32)
    cover[16:112, 40:88] = 1
    folds = np.where(np.arange(size) % 8 < 4, 100, 140).astype(np.float32)
    return np.repeat(np.broadcast_to(folds, (size, size))[..., None], 3, 2).copy(), cover


def test_prints_change_the_person_and_say_where() -> None:
    rgb, cover = person()
    areas = []
    for seed in range(40):
        changed, where = printed(np.random.default_rng(seed), rgb, cover, DRAWN)
        assert changed.dtype == np.float32 and changed.min() >= 0 and changed.max() <= 255
        assert not where[cover == 0].any()
        moved = np.abs(changed - rgb).max(axis=2)
        assert moved[~where].max() < 0.05 * 255
        areas.append(where.sum() / cover.sum())
    assert 0.03 < np.median(areas) < 0.7
    assert max(areas) > 0.3 and min(areas) < 0.1  # panels of cloth and badges


def test_prints_keep_the_folds_below() -> None:
    rgb, cover = person()
    kept = []
    for seed in range(60):
        changed, where = printed(np.random.default_rng(seed), rgb, cover, DRAWN)
        inner = cv2.erode(where.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        bright, dark = (inner & (rgb[..., 0] == value) for value in (140, 100))
        if bright.sum() > 50 and dark.sum() > 50:
            kept.append(changed[bright].mean() > changed[dark].mean() + 2)
    assert len(kept) > 20
    assert np.mean(kept) > 0.8


def test_prints_need_a_person() -> None:
    rgb, cover = person()
    changed, where = printed(np.random.default_rng(0), rgb, np.zeros_like(cover), DRAWN)
    assert changed is rgb
    assert not where.any()
