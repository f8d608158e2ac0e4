"""Which entries of a column stand out: best, second, those like the best, best of each group.

Only complete entries of rivals are compared; a method that is told all true labels is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis import paired


@dataclass(frozen=True)
class Standing:
    """Labels of the methods of one column that are marked.

    Attributes:
        best: with the best mean, ties at the digits shown included.
        second: with the next one; empty where fewer than three are compared.
        close: of the rest, those that the paired test does not tell from the best.
        first_of_group: with the best mean of those that are told the same, where there are several
            groups and the group has two methods.
    """

    best: frozenset[str] = frozenset()
    second: frozenset[str] = frozenset()
    close: frozenset[str] = frozenset()
    first_of_group: frozenset[str] = frozenset()


def of_column(
    shown: Mapping[str, float],
    groups: Mapping[str, tuple[str, ...]],
    rows: pd.DataFrame,
    criterion: str,
    lower_is_better: bool,
) -> Standing:
    """The standing of a column.

    Args:
        shown: label -> mean at the digits shown, of complete entries of rivals.
        groups: label -> what the method is told.
        rows: of `frames.cells`, those of the column's setting.
        criterion: column of `rows` with the values.
        lower_is_better: whether the smallest is the best.
    """
    if not shown:
        return Standing()
    pick = min if lower_is_better else max
    best = _having(shown, pick(shown.values()))
    rest = {label: value for label, value in shown.items() if label not in best}
    second = _having(rest, pick(rest.values())) if rest and len(shown) > 2 else set()
    rivals = rows[rows["label"].isin(shown)]
    close: set[str] = set()
    if rest and rivals.groupby("label")["seed"].nunique().min() > 1:
        means = rivals[rivals["label"].isin(best)].groupby("label", sort=False)[criterion].mean()
        top = str(means.idxmin() if lower_is_better else means.idxmax())
        close = paired.not_told_apart(rivals, criterion, top) - best
    first = _first_of_groups(shown, groups, pick)
    return Standing(*map(frozenset, (best, second, close, first)))


def _having(shown: Mapping[str, float], value: float) -> set[str]:
    return {label for label, found in shown.items() if found == value}


def _first_of_groups(
    shown: Mapping[str, float], groups: Mapping[str, tuple[str, ...]], pick: Callable
) -> set[str]:
    members: dict[tuple[str, ...], dict[str, float]] = {}
    for label, value in shown.items():
        members.setdefault(groups[label], {})[label] = value
    if len(members) < 2:
        return set()
    several = [values for values in members.values() if len(values) > 1]
    return {label for values in several for label in _having(values, pick(values.values()))}


def in_groups(labels: Sequence[str], groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The labels with those side by side that are told the same, groups in order of appearance.

    Those that are told all true labels come last.
    """
    order = list(dict.fromkeys(groups[label] for label in labels))
    order.sort(key=lambda told: "true_labels" in told)
    return sorted(labels, key=lambda label: order.index(groups[label]))
