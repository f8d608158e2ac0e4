"""A table of a study: rows are methods, columns settings, entries mean and spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pandas as pd

from analysis import notes
from analysis.criteria import CRITERIA, METRICS
from analysis.records import Study
from analysis.seed_statistics import Summary, bootstrap_interval, summary, t_interval

BOOTSTRAP = ("bootstrap_low", "bootstrap_high")


@dataclass(frozen=True)
class Column:
    """A setting under a criterion; `heading` names it, `noise` says its realised rate."""

    dataset: str
    noise_slug: str
    criterion: str
    heading: str
    noise: str


@dataclass(frozen=True)
class Entry:
    """What stands where a method meets a column; `expected` seeds are planned (0: not planned)."""

    accuracy: Summary
    expected: int
    stale: bool = False
    best: bool = False
    say_n: bool = False
    scale: float = 100.0

    @property
    def complete(self) -> bool:
        return 0 < self.expected == self.accuracy.n

    @property
    def text(self) -> str:
        """The entry in its unit with one decimal, its count where it needs one, and the dagger."""
        if self.expected == 0:
            return ""
        number = notes.NOTHING if self.accuracy.n == 0 else f"{self.scale * self.accuracy.mean:.1f}"
        spread = f" ± {self.scale * self.accuracy.sd:.1f}" if self.accuracy.n > 1 else ""
        whole = f" (n = {self.expected})" if self.say_n else ""
        count = whole if self.complete else f" ({self.accuracy.n}/{self.expected})"
        return f"{number}{spread}{count}{f' {notes.STALE}' if self.stale else ''}"


@dataclass(frozen=True)
class Table:
    """A finished table, free of any markup.

    Attributes:
        title: one line.
        columns: one for every setting and criterion.
        rows: name of the method with its marks, and its entries in the order of the columns.
        notes: sentences below the table.
    """

    title: str
    columns: list[Column]
    rows: list[tuple[str, list[Entry]]]
    notes: list[str]


def has_values(frame: pd.DataFrame, criterion: str) -> bool:
    """Whether a criterion can be shown: some record has it, or nothing is finished yet."""
    return bool(frame[criterion].notna().any() or not frame["done"].any())


def build(
    study: Study, frame: pd.DataFrame, criteria: list[str], metric: str = "accuracy"
) -> Table:
    """The table of a study under one criterion or several side by side.

    Args:
        study: what the frame was made of.
        frame: `frames.cells(study, metric)`.
        criteria: names, in the order of the columns of a setting.
    """
    columns = _columns(frame, criteria)
    groups = dict(list(frame.groupby(["label", "dataset", "noise_slug"])))
    say_n = len({len(rows) for rows in groups.values()}) > 1
    methods = frame["label"].drop_duplicates()
    scale = METRICS[metric].scale
    entries = [
        [_entry(groups, label, column, say_n, scale) for column in columns] for label in methods
    ]
    ceilings = set(frame.loc[frame["privileges"].map(notes.is_ceiling), "label"])
    rivals = [row for label, row in zip(methods, entries, strict=True) if label not in ceilings]
    pick = min if METRICS[metric].lower_is_better else max
    best = [_best((row[index] for row in rivals), pick) for index in range(len(columns))]
    wants_tuned = _asked(study, "hparams", "tuned") == "tuned"
    rows = [
        (
            _row_name(frame[frame["label"] == label], wants_tuned),
            [
                replace(entry, best=label not in ceilings and _is(entry, top))
                for entry, top in zip(row, best, strict=True)
            ],
        )
        for label, row in zip(methods, entries, strict=True)
    ]
    words = f", {' and '.join(CRITERIA[name].short for name in criteria)}"
    words = words if METRICS[metric].by_criterion else ""
    where = f" on {columns[0].dataset}" if frame["dataset"].nunique() == 1 else ""
    below = notes.below(frame, criteria, metric, wants_tuned, _asked(study, "preset", None))
    return Table(f"{study.name}: {METRICS[metric].words}{where}{words}", columns, rows, below)


def _asked(study: Study, name: str, default: str | None) -> str | None:
    return (study.config.get("protocol") or {}).get(name) or default


def _columns(frame: pd.DataFrame, criteria: list[str]) -> list[Column]:
    several = frame["dataset"].nunique() > 1
    columns = []
    for (dataset, slug), rows in frame.groupby(["dataset", "noise_slug"], sort=False):
        setting = rows["noise_display"].iloc[0]
        setting = f"{dataset}, {setting}" if several else setting
        for name in criteria:
            heading = f"{setting}: {CRITERIA[name].short}" if len(criteria) > 1 else setting
            columns.append(Column(str(dataset), str(slug), name, heading, _realised(rows)))
    return columns


def _realised(rows: pd.DataFrame) -> str:
    """The realised noise rate of a setting in words: of unknown truth what a person has stated."""
    if (rows["unknown_truth"] > 0).any():
        stated = rows["rate"].dropna()
        return f"{100 * stated.iloc[0]:.1f} % (stated)" if len(stated) else "unknown"
    realised = summary(rows.groupby("seed")["realised_rate"].mean()).mean
    return notes.NOTHING if math.isnan(realised) else f"{100 * realised:.1f} %"


def _entry(groups: dict, label: str, column: Column, say_n: bool, scale: float) -> Entry:
    rows = groups.get((label, column.dataset, column.noise_slug))
    if rows is None:
        return Entry(summary([]), 0)
    stale = bool(rows["stale"].any())
    return Entry(summary(rows[column.criterion]), len(rows), stale, say_n=say_n, scale=scale)


def _row_name(rows: pd.DataFrame, wants_tuned: bool) -> str:
    first = rows.iloc[0]
    mark = notes.UNTUNED if wants_tuned and (rows["source"] == "default").any() else ""
    mark += notes.TUNED_ELSEWHERE * bool((rows["tuned_at"] != "").any())
    return f"{first['display']}{notes.marks(first['privileges'])}{mark}"


def _shown(entry: Entry) -> float:
    return round(entry.scale * entry.accuracy.mean, 1)


def _best(entries: Iterable[Entry], pick: Callable) -> float:
    return pick((_shown(entry) for entry in entries if entry.complete), default=math.nan)


def _is(entry: Entry, best: float) -> bool:
    return entry.complete and _shown(entry) == best


def tidy(
    study: Study, frame: pd.DataFrame, criterion: str, metric: str = "accuracy"
) -> pd.DataFrame:
    """A criterion in long form, one row for every method and setting, in the order of the grid.

    `mean`, `sd`, the ends of the 95 % t interval of the mean (`low`, `high`) and of its percentile
    bootstrap interval (from 20 seeds on), `realised_rate` and `values` (by seed, `;` between them,
    empty for a missing seed) are fractions, those of the cost seconds; `privileges` are joined by
    `;`; `stale` says whether any of the cells is.
    """
    rows = []
    for _, group in frame.groupby(["dataset", "noise_slug", "label"], sort=False):
        first, accuracy = group.iloc[0], summary(group[criterion])
        values = ["" if math.isnan(value) else f"{value:.6f}" for value in group[criterion]]
        rows.append(
            {"study": study.name, "criterion": criterion, "metric": metric}
            | {name: first[name] for name in ("dataset", "noise", "noise_slug")}
            | {"realised_rate": summary(group["realised_rate"]).mean}
            | {name: first[name] for name in ("method", "label", "display")}
            | {"privileges": ";".join(first["privileges"])}
            | {"n": accuracy.n, "n_expected": len(group)}
            | {"mean": accuracy.mean, "sd": accuracy.sd}
            | dict(zip(("low", "high"), t_interval(group[criterion]), strict=True))
            | dict(zip(BOOTSTRAP, bootstrap_interval(group[criterion]), strict=True))
            | {"stale": bool(group["stale"].any()), "values": ";".join(values)}
        )
    return pd.DataFrame(rows)
