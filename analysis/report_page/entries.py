"""What the page says of each method in each setting: values, seeds, curves, confusions, origin."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis import marks
from analysis.criteria import CRITERIA, METRICS
from analysis.findings import half_width
from analysis.report_page import seed_words
from analysis.report_page.curves import confusions, curves, mean_curves, room, rounded
from analysis.report_page.states import state
from analysis.seed_statistics import summary
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


def values(rows: Mapping[str, pd.DataFrame], criteria: Sequence[str]) -> dict[str, dict]:
    """Criterion -> metric -> [text, mean, low and high end of its interval, complete, n].

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
            text = f"{of_seeds.mean:.1f}"
            ends: list[float | None] = [None, None]
            if of_seeds.n > 1:
                text += f" ± {of_seeds.sd:.1f}"
                low, high = of_seeds.mean - half, of_seeds.mean + half
                ends = [rounded(max(0.0, low), 3), rounded(min(100.0, high), 3)]
            mean, complete = rounded(of_seeds.mean, 3), of_seeds.n == len(mine)
            found.setdefault(name, {})[metric] = [text, mean, *ends, complete, of_seeds.n]
    return found


@dataclass(frozen=True)
class Entries:
    """What the entries of a page have in common.

    Attributes:
        study: the study.
        criteria: names of those that its records have.
        count: how many methods in settings it has.
        protocols, origins: values that several entries have, each once.
    """

    study: Study
    criteria: Sequence[str]
    count: int
    protocols: Shared = field(default_factory=Shared)
    origins: Shared = field(default_factory=Shared)

    @functools.cached_property
    def room(self) -> tuple[int, bool]:
        """See `curves.room`."""
        return room(self.study)

    def entry(
        self, cells: Sequence[Mapping[str, Any]], rows: Mapping[str, pd.DataFrame]
    ) -> dict[str, Any]:
        """All that the page shows of one method in one setting.

        Args:
            cells: its planned cells, in the order of `rows`.
            rows: by metric, the same cells as in `frames.cells`.
        """
        accuracies = rows["accuracy"]
        pairs = zip(cells, accuracies.iterrows(), strict=True)
        seeds = [self._seed(cell, row) for cell, (_, row) in pairs]
        counting = [
            (cell, seed)
            for cell, seed, done in zip(cells, seeds, accuracies["done"], strict=True)
            if done
        ]
        records = [self.study.records[cell["key"]] for cell, _ in counting]
        drawn = [seed["curves"] for _, seed in counting if "curves" in seed]
        if not self.room[1]:
            seeds = [{k: v for k, v in seed.items() if k != "curves"} for seed in seeds]
        return {
            "values": values(rows, self.criteria),
            "done": len(counting),
            "planned": len(seeds),
            "stale": bool(accuracies["stale"].any()),
            "failed": sum(seed["state"] == "failed" for seed in seeds),
            "seeds": seeds,
            "curves": mean_curves(drawn),
            "confusions": confusions(records, self.criteria, self.count),
            "config": seed_words.config(cells[0]),
            "protocol": self.protocols.number(seed_words.terms(cells[0]["protocol"])),
        }

    def _seed(self, cell: Mapping[str, Any], row: pd.Series) -> dict[str, Any]:
        seed = {"seed": cell["seed"], "name": cell["name"], **state(self.study, cell, row)}
        record = self.study.records.get(cell["key"])
        if record:
            seed["origin"] = self.origins.number(seed_words.origin(record))
            if mine := curves(self.study, cell, self.room[0]):
                seed["curves"] = mine
        return seed | {"row": seed_words.row(seed, record, row, self.criteria)}


def present(frame: pd.DataFrame) -> list[str]:
    """Names of the criteria that at least one record has."""
    return [name for name in CRITERIA if frame[name].notna().any()]


def metrics(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Names of the metrics that at least one record has under some criterion."""
    return [name for name in SHARES if frames[name][list(CRITERIA)].notna().any(axis=None)]


def is_rival(privileges: Sequence[str]) -> bool:
    """Whether a method may be the best of a column."""
    return not marks.is_ceiling(tuple(privileges))
