"""What is said of several seeds: mean and spread, an interval of the mean, a robust mean."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Of every interval, if not said otherwise."""

FEWEST_RESAMPLED = 20
"""Units from which on a percentile bootstrap is computed: of five it covers 83 %, not 95 %."""

RESAMPLES = 9_999


@dataclass(frozen=True)
class Summary:
    """Mean and spread of the seeds that have a value, in the unit of the values.

    Attributes:
        mean: arithmetic mean; nan where n is 0.
        sd: sample standard deviation (divisor n - 1); nan where n is below 2.
        n: number of values.
    """

    mean: float
    sd: float
    n: int


def finite(values: Iterable[float]) -> np.ndarray:
    """The finite values as float64 (n,); nan stands for missing."""
    array = np.asarray(list(values), dtype=np.float64)
    return array[np.isfinite(array)]


def summary(values: Iterable[float]) -> Summary:
    """Mean, sample standard deviation and count of the finite values."""
    array = finite(values)
    mean = float(array.mean()) if array.size else math.nan
    sd = float(array.std(ddof=1)) if array.size > 1 else math.nan
    return Summary(mean, sd, int(array.size))


def half_width(values: Iterable[float], level: float = LEVEL) -> float:
    """Half of the t interval of a mean, in the unit of the values; infinite for one value."""
    spread = summary(values)
    if spread.n < 2:
        return math.inf
    return _quantile((1 + level) / 2, spread.n - 1) * spread.sd / math.sqrt(spread.n)


@functools.cache
def _quantile(share: float, freedom: int) -> float:
    return float(stats.t.ppf(share, freedom))


def t_interval(values: Iterable[float], level: float = LEVEL) -> tuple[float, float]:
    """Ends of the t interval of a mean; nan where there are fewer than two values."""
    array = finite(values)
    if array.size < 2:
        return math.nan, math.nan
    half = half_width(array, level)
    return float(array.mean()) - half, float(array.mean()) + half


def bootstrap_interval(values: Iterable[float], level: float = LEVEL) -> tuple[float, float]:
    """Ends of the percentile bootstrap interval of a mean; nan below `FEWEST_RESAMPLED` values.

    The same values give the same interval.
    """
    array = finite(values)
    if array.size < FEWEST_RESAMPLED:
        return math.nan, math.nan
    found = stats.bootstrap(
        (array,), np.mean, confidence_level=level, n_resamples=RESAMPLES,
        method="percentile", vectorized=True, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def interquartile_mean(values: Iterable[float]) -> float:
    """Mean without the lowest and the highest quarter (each rounded down); nan without values.

    As Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (2021)
    use it over all runs of a method: one failed run moves it less than the mean, and it rests on
    more values than the median.
    """
    array = finite(values)
    return float(stats.trim_mean(array, 0.25)) if array.size else math.nan
