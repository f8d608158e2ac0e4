"""Criteria: which epoch of a run is reported, as data that act on finished records."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
    counts = (record.get("confusion") or {}).get(name)
    if ensemble or counts is None or any(len(row) != len(counts) for row in counts):
        return math.nan
    of_class = [row[k] / sum(row) for k, row in enumerate(counts) if sum(row)]
    return min(of_class) if metric == "worst_class" else sum(of_class) / len(of_class)
