"""Learning curves and confusion matrices as the page has them: rounded, and few enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from analysis.studies import Study

CURVES = {
    "test": "test accuracy",
    "noisy_val": "noisy-validation accuracy",
    "fits_given": "wrong labels predicted as given (memorised)",
    "fits_true": "wrong labels predicted as true",
}
MOST_VALUES, LEAST_VALUES, VALUES_OF_A_CELL = 200_000, 80_000, 30
"""Numbers that all curves of a page may have together, 4 bytes each: fewer the more cells there
are, since all else that is said of a cell takes room too."""
FEWEST_POINTS = 8
MOST_COUNTS = 200_000
"""Numbers that all confusion matrices of a page may have together."""
MOST_PAIRS = 6
MOST_CLASSES = 20
"""Classes up to which a confusion matrix is shown whole; of more, the largest confusions are."""


Curves = dict[str, list]
"""`epoch` and those of `CURVES` that a cell has, one value for each epoch that is drawn."""


@dataclass
class Reader:
    """Reads the epochs of the cells of a study, and keeps what the page draws of them.

    Attributes:
        study: the study.
        found: the curves of the cells that were read, by key.
    """

    study: Study
    found: dict[str, Curves] = field(default_factory=dict)

    @cached_property
    def room(self) -> tuple[int, bool]:
        """See `room`."""
        return room(self.study)

    def __call__(self, cell: Mapping[str, Any]) -> list[dict[str, Any]]:
        lines = self.study.epochs(cell)
        if lines:
            self.found[cell["key"]] = curves(lines, self.room[0])
        return lines


def room(study: Study) -> tuple[int, bool]:
    """Every how many epochs a curve has a point, and whether each seed has curves of its own.

    So many that all curves together stay small; where those of a seed would have fewer than
    `FEWEST_POINTS`, only means over seeds have some.
    """
    most = max(LEAST_VALUES, MOST_VALUES - VALUES_OF_A_CELL * len(study.cells))
    lengths = [int(cell["protocol"].get("epochs") or 0) for cell in study.cells]
    step = max(1, math.ceil(sum(lengths) * len(CURVES) / most))
    if min(max(lengths), FEWEST_POINTS) * step <= max(lengths):
        return step, True
    seeds = len({cell["seed"] for cell in study.cells})
    return max(1, math.ceil(sum(lengths) * len(CURVES) / seeds / most)), False


def curves(lines: Sequence[Mapping[str, Any]], step: int) -> Curves:
    """The curves of the lines of a cell's epochs, every so many of them and the last one."""
    lines = [line for k, line in enumerate(lines) if k % step == 0 or k == len(lines) - 1]
    found: Curves = {"epoch": [line.get("epoch") for line in lines]}
    for name in CURVES:
        series = []
        for line in lines:
            corrupted = line["memorisation"].get("corrupted_part") or {}
            value = (corrupted if name.startswith("fits") else line).get(name)
            known = isinstance(value, int | float) and math.isfinite(value)
            series.append(value if known else None)
        if any(value is not None for value in series):
            found[name] = series
    return found


def mean_curves(of_seeds: Sequence[Curves]) -> Curves | None:
    """The mean of the seeds at every epoch that all of them have; None without any."""
    if not of_seeds:
        return None
    epochs = [e for e in of_seeds[0]["epoch"] if all(e in other["epoch"] for other in of_seeds)]
    found: Curves = {"epoch": epochs}
    for name in CURVES:
        if all(name in other for other in of_seeds):
            by_epoch = [dict(zip(c["epoch"], c[name], strict=True)) for c in of_seeds]
            columns = [[seed[epoch] for seed in by_epoch] for epoch in epochs]
            # By fsum: since Python 3.12 `sum` rounds otherwise, and pages are compared by bytes.
            means = [None if None in c else math.fsum(c) / len(c) for c in columns]
            if any(mean is not None for mean in means):
                found[name] = means
    return found


def per_mille(found: Curves) -> Curves:
    """The curves with whole numbers of tenths of a percent, which is what a reader is shown."""
    return {
        name: values if name == "epoch" else [v if v is None else round(1000 * v) for v in values]
        for name, values in found.items()
    }


def confusions(
    records: Sequence[Mapping], criteria: Sequence[str], entries: int
) -> dict[str, dict]:
    """Criterion -> counts of test images over all seeds; rows are true, columns predicted classes.

    `matrix` where there are few classes, and few matrices on the page, else `largest`: the most
    frequent confusions as [true class, predicted class, images].

    Args:
        records: of one method in one setting.
        criteria: names of those that the study has.
        entries: how many such methods and settings the page has.
    """
    found = {}
    for name in criteria:
        counts = [_counts(record["confusion"].get(name)) for record in records]
        counts = [of_seed for of_seed in counts if of_seed is not None]
        if not counts or len({c.shape for c in counts}) > 1:
            continue
        total = np.sum(counts, axis=0)
        fit = entries * len(criteria) * total.size <= MOST_COUNTS
        if len(total) <= MOST_CLASSES and fit:
            found[name] = {"matrix": total.tolist()}
            continue
        wrong = total - np.diag(np.diag(total))
        places = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
        pairs = [np.unravel_index(place, wrong.shape) for place in places]
        found[name] = {"largest": [[int(t), int(p), int(wrong[t, p])] for t, p in pairs]}
    return found


def _counts(confusion: Any) -> np.ndarray | None:
    try:
        counts = np.asarray(confusion, np.int64)
    except (TypeError, ValueError, OverflowError):
        return None
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1]
    return counts if square and (counts >= 0).all() else None
