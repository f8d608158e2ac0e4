"""A table of a study: rows are methods, columns settings, entries mean and spread over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from analysis import marks, notes, standing
from analysis.criteria import CRITERIA, METRICS
from analysis.seed_statistics import Summary, bootstrap_interval, summary, t_interval
from analysis.studies import Study

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
    """What stands where a method meets a column.

    Attributes:
        accuracy: of the seeds that have a value.
        expected: seeds that are planned; 0 where the method is not planned there.
        stale: whether one of its cells is.
        say_n: whether a complete entry names its number of seeds.
        scale: from a value to the unit that is shown.
        failed: whether one of its cells has failed.
        best, second, close, first_of_group: as in `standing.Standing`.
    """

    accuracy: Summary
    expected: int
    stale: bool = False
    say_n: bool = False
    scale: float = 100.0
    failed: bool = False
    best: bool = False
    second: bool = False
    close: bool = False
    first_of_group: bool = False

    @property
    def complete(self) -> bool:
        return 0 < self.expected == self.accuracy.n

    @property
    def shown(self) -> float:
        """The mean at the digits shown."""
        return round(self.scale * self.accuracy.mean, 1)

    @property
    def text(self) -> str:
        """The entry in its unit with one decimal, its count where it needs one, and its marks."""
        if self.expected == 0:
            return ""
        number = marks.NOTHING if self.accuracy.n == 0 else f"{self.scale * self.accuracy.mean:.1f}"
        spread = f" ± {self.scale * self.accuracy.sd:.1f}" if self.accuracy.n > 1 else ""
        whole = f" (n = {self.expected})" if self.say_n else ""
        count = whole if self.complete else f" ({self.accuracy.n}/{self.expected})"
        flags = {marks.FAILED: self.failed, marks.STALE: self.stale, marks.CLOSE: self.close}
        after = "".join(f" {mark}" for mark, has in flags.items() if has)
        return f"{number}{spread}{count}{after}"


@dataclass(frozen=True)
class Table:
    """A finished table, free of any markup.

    Attributes:
        title: one line.
        columns: one for every setting and criterion.
        rows: name of the method with its marks, and its entries in the order of the columns.
        notes: sentences below the table.
        groups: for each row, in words, what the method is told; rows of a group are side by side.
    """

    title: str
    columns: list[Column]
    rows: list[tuple[str, list[Entry]]]
    notes: list[str]
    groups: list[str]


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
        metric: name of what the frame shows.
    """
    columns = _columns(frame, criteria)
    told = frame.drop_duplicates("label").set_index("label")["privileges"].to_dict()
    labels = standing.in_groups(list(told), told)
    by_column = [_entries(frame, column, labels, told, metric) for column in columns]
    wants_tuned = _asked(study, "hparams", "tuned") == "tuned"
    rows = [
        (
            _row_name(frame[frame["label"] == label], wants_tuned),
            [entries[label] for entries in by_column],
        )
        for label in labels
    ]
    words = f", {' and '.join(CRITERIA[name].short for name in criteria)}"
    words = words if METRICS[metric].by_criterion else ""
    where = f" on {columns[0].dataset}" if frame["dataset"].nunique() == 1 else ""
    marked = [entry for _, entries in rows for entry in entries]
    stands_out = marks.standing(
        second=any(entry.second for entry in marked),
        close=any(entry.close for entry in marked),
        first_of_group=any(entry.first_of_group for entry in marked),
    )
    preset = _asked(study, "preset", None)
    below = notes.below(frame, criteria, metric, stands_out, wants_tuned, preset)
    title = f"{study.name}: {METRICS[metric].words}{where}{words}"
    return Table(title, columns, rows, below, [marks.group(told[label]) for label in labels])


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
    return marks.NOTHING if math.isnan(realised) else f"{100 * realised:.1f} %"


def _entries(
    frame: pd.DataFrame, column: Column, labels: list[str], told: dict, metric: str
) -> dict[str, Entry]:
    """The entries of a column by label, with their marks."""
    shown = METRICS[metric]
    say_n = frame.groupby(["label", "dataset", "noise_slug"]).size().nunique() > 1
    of_column = (frame["dataset"] == column.dataset) & (frame["noise_slug"] == column.noise_slug)
    setting = frame[of_column]
    entries = dict.fromkeys(labels, Entry(summary([]), 0))
    for label, rows in setting.groupby("label", sort=False):
        entries[label] = Entry(
            summary(rows[column.criterion]), len(rows), bool(rows["stale"].any()), say_n,
            shown.scale, bool(rows["failed"].notna().any()),
        )  # fmt: skip
    rivals = {
        label: entry.shown
        for label, entry in entries.items()
        if entry.complete and not marks.is_ceiling(told[label])
    }
    found = standing.of_column(rivals, told, setting, column.criterion, shown.lower_is_better)
    kinds = ("best", "second", "close", "first_of_group")
    return {
        label: replace(entry, **{kind: label in getattr(found, kind) for kind in kinds})
        for label, entry in entries.items()
    }


def _row_name(rows: pd.DataFrame, wants_tuned: bool) -> str:
    first = rows.iloc[0]
    mark = marks.UNTUNED if wants_tuned and (rows["source"] == "default").any() else ""
    mark += marks.TUNED_ELSEWHERE * bool((rows["tuned_at"] != "").any())
    return f"{first['display']}{marks.marks(first['privileges'])}{mark}"


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
