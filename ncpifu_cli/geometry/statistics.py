"""Means with honest intervals: seeded bootstrap over subjects, and paired differences between two methods."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000


@dataclass(frozen=True)
class Estimate:
    """A mean and its bootstrap interval.

    Attributes: mean, low, high in the unit of the values; count: how many values; level: the interval's coverage, for example 0.95.
    """

    mean: float
    low: float
    high: float
    count: int
    level: float = 0.95


def bootstrap_mean(values: NDArray[np.floating], seed: int = 0, level: float = 0.95, resamples: int = RESAMPLES) -> Estimate:
    """Mean of (N,) values with a percentile-bootstrap interval.

    One value gives an interval of no width; below about 20 values percentile intervals are a little too narrow. The same seed and N always draw
    the same resamples, so methods compared on the same subjects are resampled alike. Raises ValueError for no values or values that are not finite.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError("a mean needs a one-dimensional, non-empty array")
    if not np.isfinite(values).all():
        raise ValueError("a mean needs finite values")
    picks = np.random.default_rng(seed).integers(0, len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high), len(values), level)


def paired_difference(values: NDArray[np.floating], reference: NDArray[np.floating], seed: int = 0, level: float = 0.95) -> Estimate:
    """Mean of `values - reference`, item by item, with its interval; an interval that excludes 0 is a difference beyond chance on these subjects.

    Args: values, reference (N,), the same subjects in the same order. Raises ValueError when their shapes differ.
    """
    values, reference = np.asarray(values, np.float64), np.asarray(reference, np.float64)
    if values.shape != reference.shape:
        raise ValueError(f"paired values need equal shapes, not {values.shape} and {reference.shape}")
    return bootstrap_mean(values - reference, seed, level)


def bootstrap_band(values: NDArray[np.floating], seed: int = 0, level: float = 0.95, resamples: int = 2000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper (T,) ends of the percentile-bootstrap interval of the mean of (N, T) values, for each of T columns by itself."""
    values = np.asarray(values, np.float64)
    weights = np.random.default_rng(seed).multinomial(len(values), np.full(len(values), 1 / len(values)), size=resamples) / len(values)
    low, high = np.quantile(weights @ values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def mean_by_group(values: NDArray[np.floating], groups: list[str]) -> NDArray[np.float64]:
    """(G, ...) mean of the (N, ...) values of each group, groups in order of first appearance: several views of one subject are not independent."""
    members = np.asarray(groups)
    return np.stack([np.asarray(values, np.float64)[members == name].mean(axis=0) for name in dict.fromkeys(groups)])
