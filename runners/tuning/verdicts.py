"""What the draws say of each range: is its optimum inside, is it flat, or does it rise at an edge?

A range rises at an edge where the outer quarter of the draws is better than the others by more than
its standard error, paired over the tuning cells (setting and seed). Bounds beyond which the method
is not defined (q <= 1) and choices cannot be widened; they are named instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from methods.declaration import Choice, Declaration

MOST_WIDENINGS = 2
FEWEST = 4
"""Draws of which a quarter can be taken."""


@dataclass(frozen=True)
class Draw:
    """One set of values, and its accuracy on the development images by tuning cell.

    Attributes:
        method, number: number 0 is the default.
        hparams: the values that are searched.
        accuracy: cell (`<noise>__s<seed>`) -> share of right predictions.
    """

    method: str
    number: int
    hparams: Mapping[str, Any]
    accuracy: Mapping[str, float]

    @property
    def mean(self) -> float:
        return sum(self.accuracy.values()) / len(self.accuracy)


@dataclass(frozen=True)
class Verdict:
    """What is said of one range.

    Attributes:
        words: "inner", "flat", "rising at the low edge", ...
        low, high: gain of the outer quarter over the other draws and its standard error, in
            fractions; None for choices and where there are too few draws.
    """

    parameter: str
    words: str
    low: tuple[float, float] | None = None
    high: tuple[float, float] | None = None


def best(draws: Sequence[Draw]) -> Draw:
    """The draw with the highest mean; the first of equals, so that the default wins a tie."""
    return max(draws, key=lambda draw: (draw.mean, -draw.number))


def judge(declared: Declaration, draws: Sequence[Draw]) -> list[Verdict]:
    """A verdict for every range of a method, out of all its draws."""
    return [_of_range(declared, name, draws) for name in declared.searched]


def _of_range(declared: Declaration, name: str, draws: Sequence[Draw]) -> Verdict:
    search = declared.searched[name]
    if isinstance(search, Choice):
        return Verdict(name, f"choice, best {best(draws).hparams[name]}")
    if len(draws) < FEWEST:
        return Verdict(name, "too few draws")
    order = sorted(range(len(draws)), key=lambda k: draws[k].hparams[name])
    accuracy = np.array([list(draws[k].accuracy.values()) for k in order])
    outer = round(len(order) / 4)
    lowest, highest = np.arange(len(order)) < outer, np.arange(len(order)) >= len(order) - outer
    low, high = _gain(accuracy, lowest), _gain(accuracy, highest)
    edges = [edge for edge, (gain, error) in (("low", low), ("high", high)) if gain > error]
    natural = [edge for edge in edges if _is_bound(declared, name, edge)]
    rising = [edge for edge in edges if edge not in natural]
    if rising:
        still = "still " * (search.widened >= MOST_WIDENINGS)
        words = f"{still}rising at the {' and the '.join(rising)} edge"
    elif natural:
        words = f"rising to its natural bound {getattr(search, natural[0]):g}"
    else:
        gain, error = _gain(accuracy, ~(lowest | highest))
        words = "inner" if gain > error else "flat"
    return Verdict(name, words, low, high)


def paired_errors(draws: Sequence[Draw]) -> list[float]:
    """Standard error of each draw's mean over the tuning cells, less what cells differ in."""
    accuracy = np.array([list(draw.accuracy.values()) for draw in draws])
    if accuracy.shape[1] < 2:
        return [0.0] * len(draws)
    own = accuracy - accuracy.mean(0)
    return (own.std(1, ddof=1) / math.sqrt(accuracy.shape[1])).tolist()


def _gain(accuracy: np.ndarray, some: np.ndarray) -> tuple[float, float]:
    """Mean accuracy of `some` draws less that of the others, and its standard error over cells."""
    by_cell = accuracy[some].mean(0) - accuracy[~some].mean(0)
    if len(by_cell) < 2:
        return float(by_cell.mean()), math.inf
    return float(by_cell.mean()), float(by_cell.std(ddof=1) / math.sqrt(len(by_cell)))


def _is_bound(declared: Declaration, name: str, edge: str) -> bool:
    """Whether a range ends where the method's own bounds do."""
    names = ("ge", "gt") if edge == "low" else ("le", "lt")
    found = [getattr(m, n, None) for m in declared.fields[name].metadata for n in names]
    return getattr(declared.searched[name], edge) in [bound for bound in found if bound is not None]
