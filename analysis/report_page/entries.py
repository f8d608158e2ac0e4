"""What the page says of each method in each setting: values, seeds, curves, confusions, origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis import marks
from analysis.criteria import CRITERIA, METRICS
from analysis.report_page import seed_words
from analysis.report_page.curves import Curves, Reader, confusions, mean_curves, per_mille
from analysis.report_page.states import state
from analysis.seed_statistics import half_width, summary
from analysis.studies import Study

SHARES = [name for name, metric in METRICS.items() if metric.unit == "%"]
"""Metrics that a page shows: those between 0 and 1."""


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

    def numbers(self, values: Iterable[Any]) -> list[int]:
        """The numbers of several values."""
        return [self.number(value) for value in values]


def value(of_seeds: np.ndarray) -> list[int] | None:
    """What is shown of the seeds of one method in one setting; None without any value.

    As whole numbers, small ones since there are many: mean and standard deviation as shown, in
    tenths of a percent; what the mean has beyond that and half of its 95 % t interval, in
    thousandths of a percent; how many seeds have a value. Without spread (one seed) both are -1.

    Args:
        of_seeds: float (planned seeds,), between 0 and 1, nan for missing.
    """
    found = summary(100 * of_seeds)
    if found.n == 0:
        return None
    mean = _tenths(found.mean)
    rest = round(1000 * found.mean) - 100 * mean
    if found.n == 1:
        return [mean, -1, rest, -1, 1]
    return [mean, _tenths(found.sd), rest, round(1000 * half_width(100 * of_seeds)), found.n]


def text(shown: Sequence[int]) -> str:
    """Mean and standard deviation of a `value`, as in a table."""
    mean, spread = (f"{tenths / 10:.1f}" for tenths in shown[:2])
    return mean if shown[1] < 0 else f"{mean} ± {spread}"


def _tenths(percent: float) -> int:
    return round(10 * float(f"{percent:.1f}"))  # the digits that a table has


@dataclass
class Entries:
    """What the page says of every method in every setting.

    Attributes:
        study: the study.
        criteria: names of those that its records have.
        frames: by metric, its `frames.cells`.
        curves: of its finished cells.
        terms: names and values that several entries have, each once.
        epochs: lists of epochs, each once.
    """

    study: Study
    criteria: Sequence[str]
    frames: Mapping[str, pd.DataFrame]
    curves: Reader
    terms: Shared = field(default_factory=Shared)
    epochs: Shared = field(default_factory=Shared)

    @cached_property
    def _values(self) -> list[np.ndarray]:
        """Of each metric float (cells, criteria)."""
        return [frame[list(self.criteria)].to_numpy(float) for frame in self.frames.values()]

    @cached_property
    def _count(self) -> int:
        """How many methods in settings there are."""
        places = ("dataset", "noise_slug", "label")
        return len({tuple(cell[name] for name in places) for cell in self.study.cells})

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        columns = ["done", "stale", "other_data", "other_labels", "other_code", "outdated"]
        columns += ["failed", "realised_rate", *self.criteria]
        return next(iter(self.frames.values()))[columns].to_dict("records")

    def entry(self, places: Sequence[int]) -> dict[str, Any]:
        """All that the page shows of one method in one setting.

        Args:
            places: of its planned cells among those of the study.
        """
        cells, rows = ([of[k] for k in places] for of in (self.study.cells, self._rows))
        done = [cell for cell, row in zip(cells, rows, strict=True) if row["done"]]
        records = [self.study.records[cell["key"]] for cell in done]
        drawn = [self.curves.found[c["key"]] for c in done if c["key"] in self.curves.found]
        seeds = [self._seed(cell, row) for cell, row in zip(cells, rows, strict=True)]
        protocol = seed_words.terms(cells[0]["protocol"])
        return {
            "values": [
                [value(of_all[places, number]) for of_all in self._values]
                for number in range(len(self.criteria))
            ],
            "done": len(done),
            "planned": len(seeds),
            "stale": any(row["stale"] for row in rows),
            "failed": sum(seed.get("state") == "failed" for seed in seeds),
            "seeds": seeds,
            "curves": self._packed(mean_curves(drawn)),
            "confusions": confusions(records, self.criteria, self._count),
            "config": self.terms.numbers([*seed_words.config(cells[0]), *protocol]),
            "origin": _common(seeds),
        }

    def _seed(self, cell: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        seed = {"seed": cell["seed"], "key": cell["key"][:8], **state(self.study, cell, row)}
        if record := self.study.records.get(cell["key"]):
            seed["origin"] = self.terms.numbers(seed_words.origin(record))
            seed["row"] = seed_words.row(record, row, self.criteria)
            if self.curves.room[1] and (mine := self.curves.found.get(cell["key"])):
                seed["curves"] = self._packed(mine)
        return seed

    def _packed(self, found: Curves | None) -> Curves | None:
        if found is None:
            return None
        return per_mille(found) | {"epoch": self.epochs.number(found["epoch"])}


def _common(seeds: Sequence[dict[str, Any]]) -> list[int]:
    """What all finished seeds have in their `origin`, which is taken out of these."""
    known = [seed for seed in seeds if "origin" in seed]
    common = set.intersection(*(set(seed["origin"]) for seed in known)) if known else set()
    for seed in known:
        seed["origin"] = [number for number in seed["origin"] if number not in common]
    return sorted(common)


def present(frame: pd.DataFrame) -> list[str]:
    """Names of the criteria that at least one record has."""
    return [name for name in CRITERIA if frame[name].notna().any()]


def metrics(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Names of the metrics that at least one record has under some criterion."""
    return [name for name in SHARES if frames[name][list(CRITERIA)].notna().any(axis=None)]


def is_rival(privileges: Sequence[str]) -> bool:
    """Whether a method may be the best of a column."""
    return not marks.is_ceiling(tuple(privileges))
