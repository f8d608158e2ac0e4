"""Mean accuracy with its interval: against the noise, and against the number of clean images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis import frames
from analysis.criteria import CRITERIA
from analysis.figures import panels
from analysis.seed_statistics import LEVEL, half_width, summary
from analysis.style import STYLE, Look
from runners.system.console import counted

Drawn = Mapping[str, Look]
MOST_RATES = 8
"""Noise rates that are printed below a panel: of more, every second, third, ... one."""


def against_noise(frame: pd.DataFrame, criterion: str, drawn: Drawn) -> Figure:
    """Mean test accuracy with its t interval: lines over the rates of a noise family, else points.

    A family of noise with several rates has a panel of its own (clean labels are its rate 0); the
    settings of all other families stand side by side in one panel. Each data set and size of the
    clean subset has panels of its own.

    Args:
        frame: `frames.cells` of a study with at least one finished cell.
        criterion: name of the reported criterion.
        drawn: look of every label.
    """
    done = panels.without_size(frame[frame[criterion].notna()])
    several, sizes = done["dataset"].nunique() > 1, has_sizes(done)
    found: list[tuple[str, pd.DataFrame, Callable]] = []
    for (dataset, size), rows in done.groupby(["dataset", "clean_subset"], sort=False):
        prefix = f"{dataset}\n" * several + f"{counted(int(size), 'clean image')}\n" * sizes
        found += _families(prefix, rows)
    with mpl.rc_context(STYLE):
        figure, axes = panels.grid(len(found), 2.3, 1, share=done["dataset"].nunique() == 1)
        for (name, rows, draw), (axis,) in zip(found, axes, strict=True):
            draw(axis, rows, drawn, criterion)
            axis.set_title(name.removesuffix("\n"))
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(f"test accuracy (%), {CRITERIA[criterion].short}")
        panels.legend(figure, drawn, frame, [_bars(frame)])
    return figure


def _families(prefix: str, rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame, Callable]]:
    """Title, cells and way of drawing of each panel of a data set."""
    clean, rest = rows[rows["noise"] == "clean"], rows[rows["noise"] != "clean"]
    wide = rest.groupby("family")["rate"].transform("nunique") > 1
    found: list[tuple[str, pd.DataFrame, Callable]] = []
    for _, family in rest[wide].groupby("family", sort=False):
        first = family.iloc[0]
        name = panels.in_lines(frames.without_rate(first["noise_display"], first["rate"]))
        found.append((prefix + name, pd.concat([clean, family]), _over_rates))
    alone = rest[~wide] if wide.any() else rows
    if alone["noise_slug"].nunique() == 1:
        found.append((prefix + alone["noise_display"].iloc[0], alone, _side_by_side))
    elif len(alone):
        found.append((prefix + ("Other noise" if wide.any() else ""), alone, _side_by_side))
    return found


def _bars(frame: pd.DataFrame) -> str:
    of = panels.seeds(frame)
    level = f"{100 * LEVEL:.0f} %"
    return "one seed" if of == "1 seed" else f"bars: {level} t interval of the mean of {of}"


def _errorbar(
    axis: Axes, x: Iterable[float], values: Iterable[pd.Series], look: Look, **changes: object
) -> None:
    """Means in percent with their intervals, which neither one seed nor a grey method has."""
    values = list(values)
    halves = [half_width(each) for each in values]
    bars = [100 * half if math.isfinite(half) else math.nan for half in halves]
    axis.errorbar(
        list(x), [100 * summary(each).mean for each in values], None if look.grey else bars,
        capsize=1.5, elinewidth=0.8, **look.line(**changes),
    )  # fmt: skip


def _over_rates(axis: Axes, rows: pd.DataFrame, drawn: Drawn, criterion: str) -> None:
    rates = sorted(rows["rate"].unique())
    gap = min(after - before for before, after in itertools.pairwise(rates))
    for place, (label, look) in enumerate(drawn.items()):
        mine = dict(list(rows[rows["label"] == label].groupby("rate")[criterion]))
        shift = 0.1 * gap * (place / max(1, len(drawn) - 1) - 0.5)  # bars do not hide each other
        _errorbar(axis, [rate + shift for rate in mine], mine.values(), look)
    axis.set_xticks(rates[:: -(-len(rates) // MOST_RATES)])
    axis.set_xlabel("noise rate (nominal)")


def _side_by_side(axis: Axes, rows: pd.DataFrame, drawn: Drawn, criterion: str) -> None:
    places = {slug: place for place, slug in enumerate(rows["noise_slug"].unique())}
    for number, (label, look) in enumerate(drawn.items()):
        mine = dict(list(rows[rows["label"] == label].groupby("noise_slug")[criterion]))
        shift = 0.7 * ((number + 0.5) / len(drawn) - 0.5)
        x = [places[slug] + shift for slug in mine]
        _errorbar(axis, x, mine.values(), look, **look.point())
    names = rows.drop_duplicates("noise_slug")["noise_display"]
    axis.set_xticks(list(places.values()), ["\n".join(name.rsplit(" ", 1)) for name in names])
    if len(places) == 1:
        axis.set_xticks([])
    axis.set_xlim(-0.5, len(places) - 0.5)
    axis.grid(axis="x", visible=False)


def has_sizes(frame: pd.DataFrame) -> bool:
    """Whether settings of a study differ in the size of the clean subset alone."""
    alike = panels.without_size(frame).groupby(["dataset", "noise_slug"])
    return bool((alike["clean_subset"].nunique() > 1).any())


def against_clean_images(frame: pd.DataFrame, criterion: str, drawn: Drawn) -> Figure:
    """Mean test accuracy with its t interval over the size of the clean subset, on a log scale.

    A method that sees no clean images is a dashed line: it, too, trains on what the subset leaves.
    Where it has run at one size alone, that mean is drawn over all of them.

    Args:
        frame: `frames.cells` of a study for which `has_sizes`, with at least one finished cell.
        criterion: name of the reported criterion.
        drawn: look of every label.
    """
    found = panels.settings(panels.without_size(frame[frame[criterion].notna()]), frame)
    sizes = sorted(frame["clean_subset"].dropna().unique())
    with mpl.rc_context(STYLE):
        figure, axes = panels.grid(len(found), 2.3, 1, share=frame["dataset"].nunique() == 1)
        for (title, rows), (axis,) in zip(found, axes, strict=True):
            for place, (label, look) in enumerate(drawn.items()):
                mine = dict(list(rows[rows["label"] == label].groupby("clean_subset")[criterion]))
                shift = 1.1 ** (place / max(1, len(drawn) - 1) - 0.5)
                dashes = {} if look.open else {"linestyle": "--"}
                if len(mine) == 1 and not look.open:
                    mean = 100 * next(iter(mine.values())).mean()
                    axis.axhline(mean, **look.line(marker="None", **dashes))
                else:
                    x = [size * shift for size in mine]
                    _errorbar(axis, x, mine.values(), look, **dashes)
            axis.set_title(title)
            axis.set_xscale("log")
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xticks(sizes, [f"{int(size):,}" for size in sizes])
            axis.set_xlabel("clean images")
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(f"test accuracy (%), {CRITERIA[criterion].short}")
        remarks = ["dashed: sees none of them"] if not all(d.open for d in drawn.values()) else []
        panels.legend(figure, drawn, frame, [*remarks, _bars(frame)])
    return figure
