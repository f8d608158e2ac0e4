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


def accuracy(record: Mapping[str, Any], name: str, *, ensemble: bool = False) -> float:
    """Test accuracy in [0, 1] of a record under a criterion; nan where the record has none.

    A tuning run has none: it is judged on the development set.

    Args:
        record: one record as stored.
        name: a key of `CRITERIA`.
        ensemble: of the mean of all networks' probabilities instead of the reported network.
    """
    by_criterion = record.get("ensemble_accuracy" if ensemble else "accuracy") or {}
    chosen = by_criterion.get(name)
    return math.nan if chosen is None else float(chosen.get("test", math.nan))
