"""Methods over several settings: ranks, the tests of Friedman and Nemenyi, performance profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.seed_statistics import LEVEL

FEWEST_SETTINGS = 8
"""Settings from which on ranks are tested: with three only the extremes of a table could differ."""


@dataclass(frozen=True)
class Friedman:
    """The test that all methods have the same mean rank.

    Attributes:
        statistic: chi-squared, corrected for ties; 0 where all methods tie everywhere.
        p: of the chi-squared distribution with one degree of freedom less than methods.
        critical_difference: of Nemenyi's test at 5 %: mean ranks that differ by more, differ.
    """

    statistic: float
    p: float
    critical_difference: float


def ranks(values: np.ndarray, lower_is_better: bool = False) -> np.ndarray:
    """Ranks (N, k) of k methods in each of N settings, 1 the best, equal values the mean rank."""
    signed = values if lower_is_better else -values
    return stats.rankdata(signed, axis=1)


def critical_difference(methods: int, settings: int, alpha: float = 1 - LEVEL) -> float:
    """Of two mean ranks under Nemenyi's test (Demšar, JMLR 7, 2006).

    Args:
        methods: k that are ranked.
        settings: N in which they are.
    """
    q = stats.studentized_range.ppf(1 - alpha, methods, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(methods * (methods + 1) / (6 * settings)))


def friedman(values: np.ndarray) -> Friedman:
    """The test on one value for each setting and method (N, k).

    Raises:
        ValueError: fewer than three methods or than `FEWEST_SETTINGS` settings.
    """
    settings, methods = values.shape
    if methods < 3 or settings < FEWEST_SETTINGS:
        raise ValueError(f"{methods} methods in {settings} settings are too few to test ranks")
    apart = critical_difference(methods, settings)
    if (values == values[:, :1]).all():  # no ranks to speak of, for which the formula divides by 0
        return Friedman(0.0, 1.0, apart)
    found = stats.friedmanchisquare(*values.T)
    return Friedman(float(found.statistic), float(found.pvalue), apart)


def profile(values: Sequence[np.ndarray], thresholds: np.ndarray) -> np.ndarray:
    """Share of runs above each threshold (T,), every setting with the same weight.

    The performance profile of Agarwal et al. (2021): a curve that lies above another everywhere
    belongs to the method that is better at every level.

    Args:
        values: for each setting the values of its runs, without nan.
        thresholds: (T,).
    """
    shares = [(runs[:, None] > thresholds[None, :]).mean(0) for runs in values]
    return np.mean(shares, axis=0)


def smallest_rank_p(pairs: int) -> float:
    """The smallest two-sided p that a signed-rank test on so many pairs can give."""
    return min(1.0, 2.0 ** (1 - pairs))


def kendall_tau(one: pd.Series, other: pd.Series) -> float:
    """Kendall's tau-b of two rankings of the same methods; nan below two, or if all tie."""
    both = pd.concat([one, other], axis=1).dropna()
    if len(both) < 2:
        return math.nan
    return float(stats.kendalltau(both.iloc[:, 0], both.iloc[:, 1]).statistic)
