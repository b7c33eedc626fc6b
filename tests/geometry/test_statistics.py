"""Intervals on data whose answer is known."""

import numpy as np
import pytest

from ncpifu_cli.geometry.statistics import bootstrap_mean, mean_by_group, paired_difference


def test_interval_of_normal_data_is_close_to_the_textbook_one() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=400)
    estimate = bootstrap_mean(values)
    error = 1.96 * values.std() / np.sqrt(400)
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - error, abs=0.02)
    assert estimate.high == pytest.approx(values.mean() + error, abs=0.02)
    assert estimate.count == 400


def test_about_95_percent_of_intervals_hold_the_true_mean() -> None:
    rng = np.random.default_rng(1)
    hits = [estimate.low <= 0 <= estimate.high for estimate in (bootstrap_mean(rng.normal(size=40), seed, resamples=500) for seed in range(400))]
    assert 0.90 <= np.mean(hits) <= 0.98


def test_constant_and_single_values_have_no_width() -> None:
    for values in (np.full(7, 3.5), np.array([3.5])):
        estimate = bootstrap_mean(values)
        assert (estimate.mean, estimate.low, estimate.high) == (3.5, 3.5, 3.5)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(2).random(30)
    assert bootstrap_mean(values, 4) == bootstrap_mean(values, 4)
    assert bootstrap_mean(values, 4) != bootstrap_mean(values, 5)


def test_pairing_finds_a_small_shift_that_separate_means_hide() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(10, 5, size=50)
    better = hard - 0.2 + rng.normal(0, 0.1, size=50)
    difference = paired_difference(better, hard)
    assert difference.high < 0
    assert difference.mean == pytest.approx(-0.2, abs=0.05)
    apart = bootstrap_mean(better), bootstrap_mean(hard)
    assert apart[0].high > apart[1].low


def test_views_of_one_subject_count_once() -> None:
    np.testing.assert_allclose(mean_by_group(np.array([1.0, 3, 10, 2]), ["a", "a", "b", "a"]), [2, 10])


@pytest.mark.parametrize("values", [np.array([]), np.array([1.0, np.nan]), np.zeros((2, 2))])
def test_bad_values_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a mean needs"):
        bootstrap_mean(values)


def test_unequal_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        paired_difference(np.ones(3), np.ones(4))
