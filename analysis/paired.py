"""Two methods on the same seeds: differences over pairs, tests of them, and what they make likely.

The cells of one setting and seed have the same noisy labels, split and initial weights, so that the
difference of two methods is taken within each seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.criteria import METRICS
from analysis.seed_statistics import LEVEL, finite, summary, t_interval

ALPHA = 1 - LEVEL
SAME = ("labels_sha256", "split_sha256")
"""Columns of `frames.cells` in which the two cells of a pair must be equal."""


@dataclass(frozen=True)
class Chances:
    """Posterior probabilities of a mean difference; they add up to 1, nan below two pairs.

    Attributes:
        better: that it is above the margin.
        equal: that it lies within the margin of 0.
        worse: that it is below minus the margin.
    """

    better: float
    equal: float
    worse: float


def t_test(differences: Iterable[float]) -> float:
    """Two-sided p of the t test that the mean of paired differences is 0; nan below two pairs.

    Differences that are all equal have no spread to test against: p is 1 where they are 0, else 0.
    """
    found = summary(differences)
    if found.n < 2:
        return math.nan
    if found.sd == 0:
        return 1.0 if found.mean == 0 else 0.0
    statistic = abs(found.mean) / (found.sd / math.sqrt(found.n))
    return float(2 * stats.t.sf(statistic, found.n - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values of a family of tests (Holm, 1979); nan are no tests and stay nan.

    The i-th smallest of m is multiplied by m - i + 1; none is below a smaller one, nor above 1.
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return adjusted.tolist()


def chances(differences: Iterable[float], margin: float) -> Chances:
    """What the differences make likely of their mean (Bayesian paired t test).

    Under the prior 1 / sd the mean has the posterior of a t distribution with n - 1 degrees of
    freedom about the sample mean, scaled by sd / sqrt(n). This is the correlated test of Benavoli,
    Corani, Demšar and Zaffalon (JMLR 18, 2017) with correlation 0: other than folds of one cross
    validation, seeds share no training run. All of it is conditional on the one test set.

    Args:
        differences: one a pair; nan for missing.
        margin: half-width of the region of practical equivalence, in the unit of the differences.
    """
    found = summary(differences)
    if found.n < 2:
        return Chances(math.nan, math.nan, math.nan)
    if found.sd == 0:
        better, worse = float(found.mean > margin), float(found.mean < -margin)
        return Chances(better, 1 - better - worse, worse)
    posterior = stats.t(found.n - 1, found.mean, found.sd / math.sqrt(found.n))
    better, worse = float(posterior.sf(margin)), float(posterior.cdf(-margin))
    return Chances(better, max(0.0, 1 - better - worse), worse)


def pairs(mine: pd.DataFrame, other: pd.DataFrame, criterion: str) -> pd.Series:
    """Differences `mine - other` by seed, of pairs that ran on the same labels and split.

    Args:
        mine: the rows of `frames.cells` of one method and setting.
        other: those of another method of the same setting.
        criterion: column with the values.
    """
    keys = ["seed", *SAME]
    theirs = dict(
        zip(zip(*(other[name] for name in keys), strict=True), other[criterion], strict=True)
    )
    ours = zip(zip(*(mine[name] for name in keys), strict=True), mine[criterion], strict=True)
    found = {key[0]: value - theirs[key] for key, value in ours if key in theirs}
    return pd.Series(found, dtype=np.float64).dropna()


def to_reference(
    frame: pd.DataFrame, criterion: str, reference: str, metric: str = "accuracy"
) -> pd.DataFrame:
    """Every method against one of them, a row for each setting and other method with a pair.

    Args:
        frame: `frames.cells` of a study.
        criterion: name of the criterion.
        reference: label of the method that the others are compared with.
        metric: name of what the frame shows.

    Returns:
        `dataset`, `noise_slug`, `noise_display`, `label`, `display`, `reference`; `n` pairs;
        `mean`, `sd` of the differences (method - reference), ends `low` and `high` of the 95 % t
        interval, in the unit that the metric is shown in (points, minutes); `p` of the t test and
        `p_holm`, corrected for the other methods of the setting; `better`, `equal`, `worse`:
        probabilities (see `chances`), nan for a metric without a margin. What cannot be said is
        nan.
    """
    shown, rows = METRICS[metric], []
    for (dataset, slug), setting in frame.groupby(["dataset", "noise_slug"], sort=False):
        theirs = setting[setting["label"] == reference]
        family = []
        for label, mine in setting.groupby("label", sort=False):
            if label == reference or theirs.empty:
                continue
            differences = shown.scale * finite(pairs(mine, theirs, criterion))
            found, (low, high) = summary(differences), t_interval(differences)
            if found.n == 0:
                continue
            family.append(
                {"dataset": dataset, "noise_slug": slug}
                | {name: mine[name].iloc[0] for name in ("noise_display", "label", "display")}
                | {"reference": reference, "n": found.n, "mean": found.mean, "sd": found.sd}
                | {"low": low, "high": high, "p": t_test(differences)}
                | _chances(differences, metric)
            )
        for row, corrected in zip(family, holm([row["p"] for row in family]), strict=True):
            rows.append(row | {"p_holm": corrected})
    order = ["dataset", "noise_slug", "noise_display", "label", "display", "reference", "n", "mean"]
    order += ["sd", "low", "high", "p", "p_holm", "better", "equal", "worse"]
    return pd.DataFrame(rows, columns=order)


def _chances(differences: np.ndarray, metric: str) -> dict[str, float]:
    shown = METRICS[metric]
    if shown.margin is None:
        return dict.fromkeys(("better", "equal", "worse"), math.nan)
    signed = -differences if shown.lower_is_better else differences
    return vars(chances(signed, shown.margin))


def not_told_apart(setting: pd.DataFrame, criterion: str, best: str) -> set[str]:
    """Labels that a setting's own differences do not tell from its best one, the best left out.

    The t test over pairs at 5 %, corrected by Holm for all others of the setting; who has no two
    pairs with the best is not told apart.

    Args:
        setting: the rows of `frames.cells` of the methods that are compared in one setting.
        criterion: column with the values.
        best: label of the best.
    """
    setting = setting[["label", "seed", *SAME, criterion]]  # groups of few columns are fast
    theirs = setting[setting["label"] == best]
    others = {
        label: t_test(pairs(mine, theirs, criterion))
        for label, mine in setting.groupby("label", sort=False)
        if label != best
    }
    corrected = zip(others, holm(list(others.values())), strict=True)
    return {label for label, p in corrected if not p < ALPHA}
