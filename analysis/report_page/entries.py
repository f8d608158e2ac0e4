"""What the page says of each method in each setting: values, seeds, curves, confusions, origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import notes
from analysis.criteria import CRITERIA, METRICS
from analysis.findings import LEVEL, half_width
from analysis.records import Study
from analysis.report_page import seed_words
from analysis.report_page.states import state
from analysis.seed_statistics import summary
from runners.system.console import counted

CURVES = {
    "test": "test accuracy",
    "noisy_val": "noisy-validation accuracy",
    "fits_given": "wrong labels predicted as given (memorised)",
    "fits_true": "wrong labels predicted as true",
}
MOST_VALUES = 120_000
"""Numbers that all curves of a page may have together: about 0.8 MB."""
MOST_CLASSES = 20
"""Classes up to which a confusion matrix is shown whole; of more, the largest confusions are."""


class Shared:
    """Values that many cells have in common, each once; cells name them by number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        """The number under which a value stands in `values`."""
        known = repr(value)
        if known not in self._numbers:
            self._numbers[known] = len(self.values)
            self.values.append(value)
        return self._numbers[known]


def values(rows: Mapping[str, pd.DataFrame], criteria: Sequence[str]) -> dict[str, dict]:
    """Criterion -> metric -> [text, mean, low and high end of its interval, complete, in words].

    Args:
        rows: by metric, the cells of one method in one setting (see `frames.cells`).
        criteria: names of those that the study has.

    Means and their 95 % t intervals (None for one seed; within 0 and 100) are in percent; complete
    says whether all planned seeds count. What has no value is left out.
    """
    found: dict[str, dict] = {}
    for name in criteria:
        for metric, mine in rows.items():
            of_seeds = summary(100 * mine[name])
            if of_seeds.n == 0:
                continue
            half = half_width((100 * mine[name]).dropna().tolist())
            text, words = f"{of_seeds.mean:.1f}", ""
            ends: list[float | None] = [None, None]
            if of_seeds.n > 1:
                text += f" ± {of_seeds.sd:.1f}"
                low, high = of_seeds.mean - half, of_seeds.mean + half
                words = f", {100 * LEVEL:.0f} % interval {low:.1f} to {high:.1f}"
                ends = [_rounded(max(0.0, low), 3), _rounded(min(100.0, high), 3)]
            mean, complete = _rounded(of_seeds.mean, 3), of_seeds.n == len(mine)
            told = f"{text}{words}, {counted(of_seeds.n, 'seed')}"
            found.setdefault(name, {})[metric] = [text, mean, *ends, complete, told]
    return found


def _rounded(value: Any, digits: int = 4) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(float(value), digits)


def stride(study: Study) -> int:
    """Every how many epochs a curve has a point, so that all curves together stay small."""
    epochs = sum(cell["protocol"].get("epochs") or 0 for cell in study.cells)
    return max(1, math.ceil(epochs * len(CURVES) / MOST_VALUES))


def curves(study: Study, cell: Mapping[str, Any], step: int) -> dict[str, list] | None:
    """`epoch` and the `CURVES` of a finished cell, rounded to 4 digits; None where it has none."""
    lines = study.epochs(cell)
    lines = [line for k, line in enumerate(lines) if k % step == 0 or k == len(lines) - 1]
    if not lines:
        return None
    found: dict[str, list] = {"epoch": [line.get("epoch") for line in lines]}
    for name in CURVES:
        series = []
        for line in lines:
            corrupted = line["memorisation"].get("corrupted_part") or {}
            series.append(_rounded((corrupted if name.startswith("fits") else line).get(name)))
        if any(value is not None for value in series):
            found[name] = series
    return found


def mean_curves(of_seeds: Sequence[Mapping[str, list]]) -> dict[str, list] | None:
    """The mean of the seeds at every epoch that all of them have; None without any."""
    if not of_seeds:
        return None
    epochs = [e for e in of_seeds[0]["epoch"] if all(e in other["epoch"] for other in of_seeds)]
    found: dict[str, list] = {"epoch": epochs}
    for name in CURVES:
        if all(name in other for other in of_seeds):
            by_epoch = [dict(zip(c["epoch"], c[name], strict=True)) for c in of_seeds]
            columns = [[seed[epoch] for seed in by_epoch] for epoch in epochs]
            means = [None if None in c else _rounded(sum(c) / len(c)) for c in columns]
            if any(mean is not None for mean in means):
                found[name] = means
    return found


def confusions(records: Sequence[Mapping], criteria: Sequence[str]) -> dict[str, dict]:
    """Criterion -> counts of test images over all seeds; rows are true, columns predicted classes.

    `matrix` where there are at most `MOST_CLASSES` classes, else `largest`: the 20 most frequent
    confusions as [true class, predicted class, images].
    """
    found = {}
    for name in criteria:
        counts = [_counts(record["confusion"].get(name)) for record in records]
        counts = [of_seed for of_seed in counts if of_seed is not None]
        if not counts or len({c.shape for c in counts}) > 1:
            continue
        total = np.sum(counts, axis=0)
        if len(total) <= MOST_CLASSES:
            found[name] = {"matrix": total.tolist()}
            continue
        wrong = total - np.diag(np.diag(total))
        places = np.argsort(-wrong, axis=None, kind="stable")[:20]
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


def entry(
    study: Study,
    cells: Sequence[Mapping[str, Any]],
    rows: Mapping[str, pd.DataFrame],
    criteria: Sequence[str],
    step: int,
    shared: Mapping[str, Shared],
) -> dict[str, Any]:
    """All that the page shows of one method in one setting.

    Args:
        study: the study.
        cells: its planned cells of this method and setting, in the order of `rows`.
        rows: by metric, the same cells as in `frames.cells`.
        criteria: names of those that the study has.
        step: every how many epochs a curve has a point.
        shared: `protocols` and `origins`, which are filled.
    """
    accuracies = rows["accuracy"]
    seeds, drawn, counted_records = [], [], []
    for cell, (_, row) in zip(cells, accuracies.iterrows(), strict=True):
        seed = {"seed": cell["seed"], "name": cell["name"], **state(study, cell, row)}
        record = study.records.get(cell["key"])
        if record:
            seed["origin"] = shared["origins"].number(seed_words.origin(record))
            if mine := curves(study, cell, step):
                seed["curves"] = mine
            if row["done"]:
                counted_records.append(record)
                drawn += [mine] if mine else []
        seed["row"] = seed_words.row(seed, record, row, criteria)
        seeds.append(seed)
    states = [seed["state"] for seed in seeds]
    return {
        "values": values(rows, criteria),
        "done": int(accuracies["done"].sum()),
        "planned": len(seeds),
        "stale": bool(accuracies["stale"].any()),
        "failed": states.count("failed"),
        "seeds": seeds,
        "curves": mean_curves(drawn),
        "confusions": confusions(counted_records, criteria),
        "config": seed_words.config(cells[0]),
        "protocol": shared["protocols"].number(seed_words.terms(cells[0]["protocol"])),
    }


def present(frame: pd.DataFrame) -> list[str]:
    """Names of the criteria that at least one record has."""
    return [name for name in CRITERIA if frame[name].notna().any()]


def metrics(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Names of the metrics that at least one record has under some criterion."""
    return [name for name in METRICS if frames[name][list(CRITERIA)].notna().any(axis=None)]


def is_rival(privileges: Sequence[str]) -> bool:
    """Whether a method may be the best of a column."""
    return not notes.is_ceiling(tuple(privileges))
