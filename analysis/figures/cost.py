"""What accuracy costs: minutes of a cell, and the methods that no other one beats at both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from analysis import criteria
from analysis.figures import panels
from analysis.marks import is_ceiling
from analysis.style import COLOURS, STYLE, Look

FRONTS = {False: ("front without clean images", "-"), True: ("front with clean images", "--")}
"""Whether its methods see clean images -> name and dashes of a front."""


def against_accuracy(
    frame: pd.DataFrame,
    part: pd.DataFrame,
    records: Mapping[str, Mapping],
    criterion: str,
    drawn: Mapping[str, Look],
) -> Figure:
    """Mean test accuracy over mean minutes of a cell, with two Pareto fronts a setting.

    Methods that see clean images have a front of their own. A method that is told all true labels
    is on none.

    Args:
        frame: `frames.cells` of the study.
        part: those of its cells that are drawn; all have the criterion.
        records: of its finished cells, by key.
        criterion: name of the reported criterion.
        drawn: look of every label.
    """
    shown = criteria.METRICS["cost"]
    seconds = [criteria.value(records[key], "last", metric="cost") for key in part["key"]]
    part = part.assign(minutes=[shown.scale * each for each in seconds])
    found = panels.settings(part, frame)
    points = [rows.groupby("label", sort=False)[["minutes", criterion]].mean() for _, rows in found]
    minutes = pd.concat(points)["minutes"]
    ends = 0.85 * minutes.min(), 1.18 * minutes.max()
    rivals = _rivals(points, frame)
    there = {drawn[label].open for each in rivals for label in each.index}
    fronts = {sees: line for sees, line in FRONTS.items() if sees in there}
    with mpl.rc_context(STYLE):
        figure, axes = panels.grid(len(found), 2.3, 1, share=frame["dataset"].nunique() == 1)
        for (title, _), of_setting, able, (axis,) in zip(found, points, rivals, axes, strict=True):
            for label, (cost, accuracy) in of_setting.iterrows():
                axis.plot(cost, 100 * accuracy, **drawn[label].line(**drawn[label].point()))
            for sees, (name, dashes) in fronts.items():
                group = able[[drawn[label].open == sees for label in able.index]]
                best = group.loc[front(group["minutes"], group[criterion])]
                x, y = [*best["minutes"], ends[1]], [*best[criterion], best[criterion].max()]
                y = [100 * accuracy for accuracy in y]
                axis.plot(x, y, drawstyle="steps-post", label=name, **_line(dashes))
            axis.set_title(title)
            _minutes(axis, *ends)
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(f"test accuracy (%), {criteria.CRITERIA[criterion].short}")
        further = [Line2D([], [], label=name, **_line(dashes)) for name, dashes in fronts.values()]
        panels.legend(figure, drawn, frame, [f"means of {panels.seeds(frame)}"], further)
    return figure


def _rivals(points: Sequence[pd.DataFrame], frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows by label without those of methods that are told all true labels."""
    ceilings = frame.loc[frame["privileges"].map(is_ceiling), "label"].unique()
    return [each.drop(index=ceilings, errors="ignore") for each in points]


def front(cost: pd.Series, accuracy: pd.Series) -> list[str]:
    """Labels that no other one beats: none is as cheap and better, or cheaper and as good.

    Args:
        cost: by label, lower is better.
        accuracy: by the same labels, higher is better.

    Returns:
        The cheapest first.
    """
    found = []
    for label in cost.sort_values(kind="stable").index:
        better = (cost <= cost[label]) & (accuracy >= accuracy[label])
        strictly = (cost < cost[label]) | (accuracy > accuracy[label])
        if not (better & strictly).any():
            found.append(label)
    return found


def _line(dashes: str) -> dict[str, object]:
    return {"color": COLOURS[-1], "linestyle": dashes, "linewidth": 0.9, "zorder": 1.5}


def _minutes(axis: Axes, low: float, high: float) -> None:
    """A logarithmic axis with enough ticks to read a range below ten times."""
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    subs = (1, 1.5, 2, 3, 5, 7) if high < 5 * low else (1, 2, 5) if high < 100 * low else (1,)
    axis.xaxis.set_major_locator(LogLocator(subs=subs))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("minutes of a cell")
