"""A figure of a tuning: accuracy on the development images against each searched value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.style import COLOURS, PAGE_WIDTH, STYLE

COLUMNS = 3


@dataclass(frozen=True)
class Panel:
    """One searched hyper-parameter of one method.

    Attributes:
        method, parameter, verdict: words of the title.
        logarithmic: whether the range is.
        values: of the draws; the first is the default, `best` the place of the best.
        means, errors: accuracy in [0, 1] over the tuning cells and its standard error.
    """

    method: str
    parameter: str
    verdict: str
    logarithmic: bool
    values: Sequence[Any]
    means: Sequence[float]
    errors: Sequence[float]
    best: int


def draw(panels: Sequence[Panel]) -> Figure:
    """All panels, in rows of three."""
    rows = -(-len(panels) // COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_WIDTH, 2.0 * rows + 0.5), layout="constrained")
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for place, axis in enumerate(grid.flat):
            axis.set_visible(place < len(panels))
        for axis, panel in zip(grid.flat, panels, strict=False):
            _panel(axis, panel)
        for row in grid:
            row[0].set_ylabel("development\naccuracy (%)")
        handles = grid[0][0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", frameon=False, ncols=3)
    return figure


def _panel(axis: Axes, panel: Panel) -> None:
    numbers = all(isinstance(value, int | float) for value in panel.values)
    x = list(panel.values) if numbers else [str(value) for value in panel.values]
    y, errors = [100 * mean for mean in panel.means], [100 * error for error in panel.errors]
    points = {"fmt": "o", "capsize": 1.5, "elinewidth": 0.7, "markersize": 3.5}
    axis.errorbar(x[1:], y[1:], errors[1:], color=COLOURS[2], label="draw ± s.e.", **points)
    axis.errorbar(x[:1], y[:1], errors[:1], color=COLOURS[3], label="default", **points)
    ring = {"s": 60, "facecolors": "none", "edgecolors": COLOURS[0], "linewidths": 1.0}
    axis.scatter(x[panel.best], y[panel.best], label="best", zorder=3, **ring)
    if panel.logarithmic:
        axis.set_xscale("log")
        wide = max(panel.values) > 100 * min(panel.values)
        axis.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 3)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(panel.parameter)
    axis.set_title(f"{panel.method}\n{panel.verdict}")
