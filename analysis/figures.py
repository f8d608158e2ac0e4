"""Figures of a study: accuracy against noise, learning curves, memorisation curves."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Collection

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import marks
from analysis.criteria import CRITERIA
from analysis.seed_statistics import summary
from analysis.style import PAGE_WIDTH, STYLE, Look, looks

PANELS_IN_A_ROW = 3
LONGEST_NAME, LETTERS_IN_A_ROW = 40, 100
"""Letters of a line in a legend, and of all its columns with their marks."""


def _panels(count: int, height: float, rows_each: int, share: bool) -> tuple[Figure, list]:
    """A figure with `count` panels of `rows_each` axes; the axes come as [panel][row].

    Args:
        count: number of panels.
        height: of one axes, in inches.
        rows_each: axes of a panel, one above the other.
        share: whether the same row of all panels has one scale (labelled at the left only).
    """
    columns = 2 if count in (2, 4) else min(count, PANELS_IN_A_ROW)
    bands = -(-count // columns)
    figure = Figure(figsize=(PAGE_WIDTH, height * bands * rows_each + 0.9), layout="constrained")
    grid = figure.subplots(bands * rows_each, columns, squeeze=False)
    panels = []
    for place in range(bands * columns):
        top = place // columns * rows_each
        axes = [grid[top + row][place % columns] for row in range(rows_each)]
        for row, axis in enumerate(axes):
            axis.set_visible(place < count)
            axis.tick_params(labelbottom=row == rows_each - 1)
            axis.yaxis.get_major_locator().set_params(nbins=6)
            if share and place:
                axis.sharey(panels[0][row])
                axis.tick_params(labelleft=place % columns == 0)
        panels.append(axes)
    return figure, panels[:count]


def _legend(figure: Figure, shown: Collection[Look], frame: pd.DataFrame, spread: str) -> None:
    """One legend below all panels, with the marks and what bars or bands mean as its title."""
    finished = frame[frame["done"]].groupby(["dataset", "noise_slug", "label"]).size()
    low, high = int(finished.min()), int(finished.max())
    seeds = f"{low} seeds" if low == high else f"{low} to {high} seeds"
    remark = "one seed" if high == 1 else f"{spread} {seeds}"
    names = {look: textwrap.fill(look.name, LONGEST_NAME) for look in shown}
    handles = [Line2D([], [], label=name, **look.line()) for look, name in names.items()]
    longest = max(len(line) for name in names.values() for line in name.splitlines())
    columns = max(1, min(4, len(handles), LETTERS_IN_A_ROW // (longest + 6)))
    lines = sum(1 + name.count("\n") for name in names.values()) / columns
    figure.set_figheight(figure.get_figheight() + 0.16 * max(0.0, lines - 2))
    title = "; ".join([*marks.privilege_legend(frame), remark])
    figure.legend(
        handles=handles, title=title, loc="outside lower center", frameon=False,
        ncols=columns, columnspacing=1.6, handlelength=2.6,
    )  # fmt: skip


def accuracy_against_noise(frame: pd.DataFrame, criterion: str) -> Figure:
    """Mean test accuracy with sample sd: lines over the rates of a noise family, else points.

    A family of noise with several rates has a panel of its own (clean labels are its rate 0); the
    settings of all other families stand side by side in one panel for each data set.

    Args:
        frame: `frames.cells` of a study with at least one finished cell.
        criterion: name of the reported criterion.
    """
    drawn = looks(frame)
    done = frame[frame[criterion].notna()]
    panels: list[tuple[str, pd.DataFrame, Callable]] = []
    for dataset, rows in done.groupby("dataset", sort=False):
        prefix = f"{dataset}\n" if done["dataset"].nunique() > 1 else ""
        clean, rest = rows[rows["noise"] == "clean"], rows[rows["noise"] != "clean"]
        wide = rest.groupby("family")["rate"].transform("nunique") > 1
        for _, family in rest[wide].groupby("family", sort=False):
            name = prefix + family["noise"].iloc[0].replace("_", " ").capitalize()
            panels.append((name, pd.concat([clean, family]), _over_rates))
        alone = rest[~wide] if wide.any() else rows
        if alone["noise_slug"].nunique() == 1:
            panels.append((prefix + alone["noise_display"].iloc[0], alone, _side_by_side))
        elif len(alone):
            panels.append((prefix + ("Other noise" if wide.any() else ""), alone, _side_by_side))
    with mpl.rc_context(STYLE):
        figure, axes = _panels(len(panels), 2.3, 1, share=done["dataset"].nunique() == 1)
        for (name, rows, draw), (axis,) in zip(panels, axes, strict=True):
            draw(axis, rows, drawn, criterion)
            axis.set_title(name)
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(f"test accuracy (%), {CRITERIA[criterion].short}")
        _legend(figure, drawn.values(), frame, "bars: sample standard deviation over")
    return figure


def _points(rows: pd.DataFrame, by: str, criterion: str) -> tuple[list, list, list]:
    groups = [(x, summary(group[criterion])) for x, group in rows.groupby(by, sort=False)]
    means = [100 * accuracy.mean for _, accuracy in groups]
    spread = [100 * accuracy.sd if accuracy.n > 1 else 0.0 for _, accuracy in groups]
    return [x for x, _ in groups], means, spread


def _over_rates(axis: Axes, rows: pd.DataFrame, drawn: dict[str, Look], criterion: str) -> None:
    rates = sorted(rows["rate"].unique())
    gap = min(after - before for before, after in itertools.pairwise(rates))
    for place, (label, look) in enumerate(drawn.items()):
        mine = rows[rows["label"] == label].sort_values("rate")
        x, y, spread = _points(mine, "rate", criterion)
        shift = 0.1 * gap * (place / max(1, len(drawn) - 1) - 0.5)  # bars do not hide each other
        x = [rate + shift for rate in x]
        axis.errorbar(x, y, spread, capsize=1.5, elinewidth=0.8, **look.line())
    axis.set_xticks(rates)
    axis.set_xlabel("noise rate (nominal)")


def _side_by_side(axis: Axes, rows: pd.DataFrame, drawn: dict[str, Look], criterion: str) -> None:
    places = {slug: place for place, slug in enumerate(rows["noise_slug"].unique())}
    for number, (label, look) in enumerate(drawn.items()):
        mine = rows[rows["label"] == label]
        x, y, spread = _points(mine, "noise_slug", criterion)
        shift = 0.7 * ((number + 0.5) / len(drawn) - 0.5)
        x = [places[slug] + shift for slug in x]
        axis.errorbar(x, y, spread, capsize=1.5, elinewidth=0.8, **look.line(linestyle="none"))
    names = rows.drop_duplicates("noise_slug")["noise_display"]
    axis.set_xticks(list(places.values()), ["\n".join(name.rsplit(" ", 1)) for name in names])
    if len(places) == 1:
        axis.set_xticks([])
    axis.set_xlim(-0.5, len(places) - 0.5)
    axis.grid(axis="x", visible=False)


def learning_curves(frame: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Test accuracy after every epoch: mean over seeds, band from lowest to highest seed.

    Args:
        frame: `frames.cells` of the study.
        epochs: `frames.epochs` of the study, not empty.
    """
    return _curves(frame, epochs, {"test": "test accuracy (%)"}, height=2.4)


def memorisation_curves(frame: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Of the training images with a wrong label: share predicted as given, and as true.

    Args:
        frame: `frames.cells` of the study.
        epochs: the rows of `frames.epochs` that have `fits_given`, not empty.
    """
    rows = {
        "fits_given": "wrongly labelled images\npredicted as given (%)",
        "fits_true": "wrongly labelled images\npredicted as true (%)",
    }
    return _curves(frame, epochs, rows, height=1.8)


def _curves(
    frame: pd.DataFrame, epochs: pd.DataFrame, values: dict[str, str], height: float
) -> Figure:
    drawn = looks(frame)
    settings = list(epochs.groupby(["dataset", "noise_slug"], sort=False))
    with mpl.rc_context(STYLE):
        several = frame["dataset"].nunique() > 1
        figure, panels = _panels(len(settings), height, len(values), share=not several)
        for (_, rows), axes in zip(settings, panels, strict=True):
            name = rows["noise_display"].iloc[0]
            axes[0].set_title(f"{rows['dataset'].iloc[0]}\n{name}" if several else name)
            for axis, (value, words) in zip(axes, values.items(), strict=True):
                _bands(axis, rows, value, drawn)
                if axis.get_subplotspec().is_first_col():
                    axis.set_ylabel(words)
            axes[-1].set_xlabel("epoch")
        _legend(figure, drawn.values(), frame, "bands: lowest to highest of")
    return figure


def _bands(axis: Axes, rows: pd.DataFrame, value: str, drawn: dict[str, Look]) -> None:
    last = int(rows["epoch"].max())
    every = max(1, round(last / 6))
    for place, (label, look) in enumerate(drawn.items()):
        over_seeds = rows[rows["label"] == label].groupby("epoch")[value]
        low, mean, high = (100 * over_seeds.agg(how) for how in ("min", "mean", "max"))
        axis.fill_between(mean.index, low, high, color=look.colour, alpha=0.18, linewidth=0)
        axis.plot(mean.index, mean, markevery=(place % every, every), **look.line())
    axis.xaxis.get_major_locator().set_params(integer=True)
