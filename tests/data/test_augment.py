"""Augmentation: image, mask and points move together; the item is a function of its index."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.augment import Placement, _color_matrix, photographic, random_placement
from ncpifu_cli.data.network_input import network_input, resize_masked
from ncpifu_cli.geometry.camera import ndc_to_px

PLACEMENTS = [Placement(), Placement(flip=True), Placement(scale=0.8), Placement(True, 1.2, (0.11, -0.07)), Placement(True, 0.9, (0.05, 0.1), 0.2, 1.1)]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_dot_stays_on_its_point(placement: Placement) -> None:
    size = 128
    point = np.array([[0.31, -0.22, 0.4]], np.float32)
    column, row = ndc_to_px(point, size)[0]
    # A dot's centre of mass is known to a fraction of a pixel.
    rows, columns = np.mgrid[:size, :size] + 0.5
    image = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / 18).astype(np.float32)
    moved = placement.image(image)
    found = np.array([(moved * columns).sum(), (moved * rows).sum()]) / moved.sum()
    assert np.abs(found - ndc_to_px(placement.points(point), size)[0]).max() < 0.15


def test_depth_scales_with_the_subject_and_keeps_its_sign() -> None:
    point = np.array([[0.1, 0.2, 0.3]], np.float32)
    assert Placement(flip=True, scale=1.1).points(point)[0].tolist() == pytest.approx([-0.11, 0.22, 0.33])


def test_flip_is_its_own_inverse() -> None:
    image = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    flipped = Placement(flip=True).image(image)
    assert np.allclose(flipped, image[:, ::-1], atol=1e-5)


def test_background_is_zero_and_never_bleeds_in() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, :] = (255, 0, 0)  # a red background
    mask = np.zeros((64, 64), bool)
    mask[10:50, 21:43] = True
    rgb[mask] = (0, 0, 255)
    color, coverage = resize_masked(rgb, mask, 24)
    assert np.allclose(color[coverage > 0.01], (0, 0, 255), atol=1)  # blue to the very edge
    image = network_input(color, coverage)
    assert image.shape == (3, 24, 24)
    assert np.abs(image[:, coverage == 0]).max() == 0
    assert image[:, coverage == 1].T.tolist()[0] == pytest.approx([-1, -1, 1], abs=0.01)


def test_photographic_changes_stay_in_range_and_repeat() -> None:
    rgb = np.full((64, 64, 3), 128, np.float32)
    coverage = np.zeros((64, 64), np.float32)
    cv2.circle(coverage, (32, 32), 20, 1.0, -1)
    for seed in range(30):
        first = photographic(rgb.copy(), coverage.copy(), AugmentConfig(), np.random.default_rng(seed))
        again = photographic(rgb.copy(), coverage.copy(), AugmentConfig(), np.random.default_rng(seed))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert 0 <= first[0].min() and first[0].max() <= 255
        assert 0 <= first[1].min() and first[1].max() <= 1


def test_colours_change_as_step_by_step() -> None:
    """The one affine map is exposure and tint, then saturation about each pixel's grey, then contrast about the picture's mean, then a turn about the greys."""
    rgb = np.random.default_rng(9).uniform(0, 255, (16, 16, 3)).astype(np.float32)
    turned = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        expected = rgb * (1 + 0.25 * 0.4 * rng.uniform(-1, 1, 3)) * (1 + 0.25 * rng.uniform(-1, 1))
        grey = expected.mean(axis=2, keepdims=True)
        expected = grey + (expected - grey) * (1 + 0.25 * rng.uniform(-1, 1))
        expected = expected.mean() + (expected - expected.mean()) * (1 + 0.25 * rng.uniform(-1, 1))
        if rng.random() >= 0.5:
            turned += 1
            axis = np.full(3, 1 / np.sqrt(3))
            vector = 2 * np.pi * rng.uniform(-0.1, 0.1) * axis
            expected = expected @ Rotation.from_rotvec(vector).as_matrix()
        matrix = _color_matrix(AugmentConfig(), rgb.reshape(-1, 3).mean(axis=0), np.random.default_rng(seed))
        assert np.abs(rgb @ matrix[:, :3].T + matrix[:, 3] - expected).max() < 0.01
    assert 0 < turned < 20


def test_everything_switched_off_changes_nothing() -> None:
    off = AugmentConfig(flip=False, scale=0, shift_ndc=0, roll_deg=0, stretch=0, hue_turn=0, color=0, blur_px=0, jpeg=0, noise=0, mask=0)
    rng = np.random.default_rng(0)
    rgb, coverage = rng.uniform(0, 255, (32, 32, 3)).astype(np.float32), np.ones((32, 32), np.float32)
    assert random_placement(off, rng) == Placement()
    changed = photographic(rgb.copy(), coverage, off, rng)
    assert np.array_equal(changed[0], rgb)
    assert np.array_equal(changed[1], coverage)


def test_a_cut_takes_image_and_truth_alike() -> None:
    placement = Placement(scale=0.9, cut_ndc=-0.25)
    moved = placement.image(np.full((64, 64), 255, np.uint8))
    assert moved[4:60].any(axis=1).all()  # the picture is cut when all that moves it has
    assert placement.first_cut_row(64) == 40 and Placement().first_cut_row(64) == 64
    points = placement.points(np.array([[0, -0.25, 0], [0, -0.29, 0], [0, 0.5, 0]], np.float32))
    assert placement.kept(points).tolist() == [True, False, True]
    cuts = [random_placement(AugmentConfig(cut=0.5), np.random.default_rng(seed)).cut_ndc for seed in range(200)]
    assert 60 < sum(cut > -1 for cut in cuts) < 140
    assert Placement().kept(np.array([[0, -0.99, 0]], np.float32)).all()
