"""Criteria: which epoch of a run is reported, as data that act on finished records."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Criterion:
    """One way of choosing the reported epoch.

    Attributes:
        name: key in a record's `accuracy`.
        short: heading of a column.
        words: what is reported, in words.
        diagnostic: why it must not be quoted as a result; empty for honest criteria.
    """

    name: str
    short: str
    words: str
    diagnostic: str = ""


AMONG = " (after the warm-up; the mean of equals)"
NOISY_VAL = f"epoch with the best noisy-validation accuracy{AMONG}"
CLEAN_VAL = f"epoch with the best clean-validation accuracy{AMONG}"

CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion("last", "last", "last epoch"),
        Criterion("last10", "last 10", "mean of the last epochs (a quarter of them, 2 to 10)"),
        Criterion("noisy_val", "noisy val", NOISY_VAL),
        Criterion("clean_val", "clean val", CLEAN_VAL),
        Criterion(
            "test_peek",
            "test peek (diagnostic)",
            f"epoch with the best test accuracy{AMONG}",
            "chosen on the test set; never a result",
        ),
    )
}

DEFAULT = ("last", "noisy_val")


def parse(text: str) -> list[str]:
    """Names in a comma-separated list, without repeats.

    Raises:
        ValueError: a name that is no criterion; the message is a sentence for the user.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in CRITERIA:
            near = difflib.get_close_matches(name, CRITERIA, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"--criterion: {name!r} is no criterion; {hint}allowed are {', '.join(CRITERIA)}"
            )
    return names


METRICS = {
    "accuracy": "test accuracy",
    "balanced_accuracy": "balanced test accuracy (mean over the classes)",
    "worst_class": "test accuracy of the worst class",
}


def value(
    record: Mapping[str, Any], name: str, *, metric: str = "accuracy", ensemble: bool = False
) -> float:
    """A metric of a record on the test set, in [0, 1], under a criterion; nan where it has none.

    A tuning run has none: it is judged on the development set.

    Args:
        record: one record as stored.
        name: a key of `CRITERIA`.
        metric: a key of `METRICS`.
        ensemble: of the mean of all networks' probabilities instead of the reported network;
            accuracy only.
    """
    by_criterion = record.get("ensemble_accuracy" if ensemble else "accuracy") or {}
    chosen = by_criterion.get(name)
    if chosen is None or chosen.get("test") is None:
        return math.nan
    if metric == "accuracy":
        return float(chosen["test"])
    of_class = [] if ensemble else _accuracies((record.get("confusion") or {}).get(name))
    if not len(of_class):
        return math.nan
    return float(np.min(of_class) if metric == "worst_class" else np.mean(of_class))


def _accuracies(confusion: Any) -> np.ndarray | list[float]:
    """Accuracy of each class that has images; none where the counts cannot be those of a run."""
    try:
        counts = np.asarray(confusion, np.float64)
    except (TypeError, ValueError, OverflowError):
        return []
    if counts.ndim != 2 or len(counts) != counts.shape[1] or not (counts >= 0).all():
        return []
    images = counts.sum(1)
    return (counts.diagonal() / np.maximum(images, 1))[images > 0]
