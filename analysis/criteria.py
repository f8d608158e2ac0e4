"""Criteria: which epoch of a run is reported, as data that act on finished records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis import label_wave
from runners.system.names import unknown


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
        Criterion(label_wave.NAME, "label wave", label_wave.WORDS),
    )
}

DEFAULT = ("last", "noisy_val")
ALL = "all"


def parse(text: str) -> list[str]:
    """Names in a comma-separated list, without repeats; `ALL` stands for every one.

    Raises:
        ValueError: a name that is no criterion; the message is a sentence for the user.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    if ALL in names:
        names = list(CRITERIA)
    for name in names:
        if name not in CRITERIA:
            raise ValueError(unknown("--criterion", name, "criterion", CRITERIA))
    return names


@dataclass(frozen=True)
class Metric:
    """What a table shows of a record.

    Attributes:
        words: its name, in words.
        meaning: what it is, where its name does not say so.
        unit: in which it is shown.
        scale: by which a value of a record is multiplied for that unit.
        margin: difference that does not matter, in that unit; None where nobody has named one.
        lower_is_better: whether the smallest is the best.
        by_criterion: whether it depends on the reported epoch.
    """

    words: str
    meaning: str = ""
    unit: str = "%"
    scale: float = 100.0
    margin: float | None = 0.5
    lower_is_better: bool = False
    by_criterion: bool = True


METRICS = {
    "accuracy": Metric("test accuracy"),
    "balanced_accuracy": Metric("balanced test accuracy (mean over the classes)"),
    "worst_class": Metric("test accuracy of the worst class"),
    "label_recovery": Metric(
        "label recovery",
        "training images whose label, as the method corrects it, is the true one",
        by_criterion=False,
    ),
    "detection": Metric(
        "detection",
        "F1 of the wrong training labels among those that the method does not take to be right",
        by_criterion=False,
    ),
    "cost": Metric(
        "cost", "minutes of one worker for a cell", unit="minutes", scale=1 / 60, margin=None,
        lower_is_better=True, by_criterion=False,
    ),
}  # fmt: skip


def value(
    record: Mapping[str, Any],
    name: str,
    *,
    metric: str = "accuracy",
    ensemble: bool = False,
    epochs: Sequence[Mapping[str, Any]] = (),
) -> float:
    """A metric of a record under a criterion; nan where it has none.

    In [0, 1], the cost in seconds. A tuning run has no accuracy on the test set: it is judged on
    the development set.

    Args:
        record: one record as stored.
        name: a key of `CRITERIA`; of no matter for a metric that does not depend on it.
        metric: a key of `METRICS`.
        ensemble: of the mean of all networks' probabilities instead of the reported network;
            accuracy only.
        epochs: the lines of its epochs, for the criteria that are found in them.
    """
    if not METRICS[metric].by_criterion:
        return math.nan if ensemble else _of_record(record, metric)
    if name == label_wave.NAME:
        return _at(label_wave.position(record, epochs), epochs, metric, ensemble)
    by_criterion = record.get("ensemble_accuracy" if ensemble else "accuracy") or {}
    chosen = by_criterion.get(name)
    if chosen is None or chosen.get("test") is None:
        return math.nan
    if metric == "accuracy":
        return float(chosen["test"])
    of_class = [] if ensemble else _accuracies(confusion(record, name))
    return _over_classes(of_class, metric)


def _of_record(record: Mapping[str, Any], metric: str) -> float:
    if metric == "cost":
        return float((record.get("timing") or {}).get("total_s", math.nan))
    if metric == "label_recovery":
        return _number((record.get("labels") or {}).get("accuracy"))
    return _detection(record)


def _detection(record: Mapping[str, Any]) -> float:
    """F1 of the wrong labels, from precision and recall of the selected right ones.

    With a share w of wrong labels, the share r (1 - w) of all images is selected rightly; divided
    by the precision it is all that is selected. What is not selected is taken to be wrong.
    """
    selection = record.get("selection")
    noise = record.get("noise") or {}
    wrong = _number((noise.get("train_part") or {}).get("realised_rate"))
    if not selection or noise.get("unknown_truth") or not 0 < wrong < 1:
        return math.nan
    precision, recall = _number(selection.get("precision")), _number(selection.get("recall"))
    right = 0.0 if math.isnan(precision) else recall * (1 - wrong)
    selected = right / precision if precision > 0 else 0.0  # null: nothing was selected
    if precision == 0:
        return math.nan  # how many were selected does not follow
    found = wrong - (selected - right)
    return 2 * found / (1 - selected + wrong)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _at(
    position: int | None, epochs: Sequence[Mapping[str, Any]], metric: str, ensemble: bool
) -> float:
    """A metric of one epoch of those whose lines are given."""
    if position is None:
        return math.nan
    line = epochs[position]
    if metric == "accuracy":
        return _number(line.get("ensemble_test" if ensemble else "test"))
    of_class = line.get("test_by_class") if not ensemble else None
    known = [value for value in of_class or () if isinstance(value, int | float)]
    return _over_classes(known, metric)


def _over_classes(of_class: np.ndarray | list[float], metric: str) -> float:
    if not len(of_class):
        return math.nan
    return float(np.min(of_class) if metric == "worst_class" else np.mean(of_class))


def _accuracies(counts: np.ndarray | None) -> np.ndarray | list[float]:
    """Accuracy of each class that has images."""
    if counts is None:
        return []
    images = counts.sum(1)
    return (counts.diagonal() / np.maximum(images, 1))[images > 0]


def confusion(record: Mapping[str, Any], name: str) -> np.ndarray | None:
    """Images (K, K) by true class and prediction under a criterion; None where there are none."""
    return square((record.get("confusion") or {}).get(name))


def square(values: Any) -> np.ndarray | None:
    """A square matrix (K, K) of a record as float64; None where it cannot be that of a run."""
    try:
        matrix = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if matrix.ndim != 2 or len(matrix) != matrix.shape[1] or not (matrix >= 0).all():
        return None
    return matrix
