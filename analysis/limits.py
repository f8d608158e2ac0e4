"""What so many seeds, and one test set, can and cannot show; in sentences with computed numbers."""

from __future__ import annotations

import math

import pandas as pd
from scipy import stats

from analysis import rank_tests
from analysis.criteria import METRICS
from analysis.seed_statistics import LEVEL, summary
from runners.system.console import counted


def needed_sds(pairs: int, level: float = LEVEL) -> float:
    """Mean of paired differences, in their sample sd, from which on the t interval leaves out 0."""
    return float(stats.t.ppf((1 + level) / 2, pairs - 1)) / math.sqrt(pairs)


def of_seeds(frame: pd.DataFrame, criterion: str) -> str:
    """One sentence on what the seeds of a table can show; empty where nothing is finished.

    Args:
        frame: `frames.cells` of a study.
        criterion: column with the values.
    """
    known = frame[frame[criterion].notna()]
    counts = known.groupby(["dataset", "noise_slug", "label"])["seed"].nunique()
    most = int(counts.max()) if len(counts) else 0
    if most == 0:
        return ""
    if most == 1:
        return "What one seed can show: nothing of the spread, so no two methods are told apart."
    at_most = "at most " if counts.min() < most else ""
    return (
        f"What {at_most}{counted(most, 'seed')} can show: a signed-rank test on {most} pairs "
        f"cannot go below p = {rank_tests.smallest_rank_p(most):.4g}; the "
        f"{100 * LEVEL:.0f} % t interval of a paired difference leaves out 0 only where the mean "
        f"is above {needed_sds(most):.2f} sample standard deviations of the differences."
    )


def binomial_error(share: float, images: int) -> float:
    """Standard error of an accuracy in [0, 1] that so many independent test images give."""
    return math.sqrt(share * (1 - share) / images)


def of_test_set(frame: pd.DataFrame, criterion: str, metric: str) -> list[str]:
    """What the choice of test images alone adds, a sentence for each data set; accuracy only."""
    said = []
    if metric != "accuracy":
        return said
    known = frame[frame[criterion].notna() & (frame["test_images"] > 0)]
    for dataset, rows in known.groupby("dataset", sort=False):
        best = max(summary(group[criterion]).mean for _, group in rows.groupby(
            ["noise_slug", "label"]))  # fmt: skip
        images = int(rows["test_images"].max())
        error = METRICS[metric].scale * binomial_error(best, images)
        said.append(
            f"All of this is said of one test set: the {images:,} test images of {dataset} give an "
            f"accuracy of {100 * best:.1f} % a standard error of {error:.2f} points of their own, "
            "which no number of seeds makes smaller; of a difference it is smaller, as methods "
            "tend to err on the same images."
        )
    return said
