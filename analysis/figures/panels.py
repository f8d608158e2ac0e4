"""What figures share: panels on a page, their settings, and the legend below them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import marks
from analysis.frames import SETTING
from analysis.style import PAGE_WIDTH, Look
from runners.system.console import counted

PANELS_IN_A_ROW = 3
LONGEST_TITLE = 26
"""Letters of a line above a panel."""
LONGEST_NAME, LETTERS_IN_A_ROW = 40, 100
"""Letters of a line in a legend, and of all its columns with their marks."""
LINE_HEIGHT = 0.16
"""Of a line of letters, in inches."""


def grid(count: int, height: float, rows_each: int, share: bool) -> tuple[Figure, list]:
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
    axes_of_figure = figure.subplots(bands * rows_each, columns, squeeze=False)
    panels = []
    for place in range(bands * columns):
        top = place // columns * rows_each
        axes = [axes_of_figure[top + row][place % columns] for row in range(rows_each)]
        for row, axis in enumerate(axes):
            axis.set_visible(place < count)
            axis.tick_params(labelbottom=row == rows_each - 1)
            axis.yaxis.get_major_locator().set_params(nbins=6)
            if share and place:
                axis.sharey(panels[0][row])
                axis.tick_params(labelleft=place % columns == 0)
        panels.append(axes)
    return figure, panels[:count]


def in_lines(name: str) -> str:
    """A name as the title of a panel: broken where it is too long, first at its commas."""
    parts = [name] if len(name) <= LONGEST_TITLE else name.split(", ")
    return ",\n".join(textwrap.fill(part, LONGEST_TITLE) for part in parts)


def settings(part: pd.DataFrame, frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Title and rows of every setting; titles name the data set where the study has several.

    Args:
        part: a row a cell or a cell and epoch, with `dataset`, `noise_slug` and `noise_display`.
        frame: `frames.cells` of the study.
    """
    several = frame["dataset"].nunique() > 1
    found = []
    for (dataset, _), rows in part.groupby(SETTING, sort=False):
        name = in_lines(rows["noise_display"].iloc[0])
        found.append((f"{dataset}\n{name}" if several else name, rows))
    return found


def pages(frame: pd.DataFrame, most: int) -> list[pd.DataFrame]:
    """The frame in parts of at most so many settings, as they fit on a page each."""
    numbers = frame.groupby(SETTING, sort=False).ngroup() // most
    return [rows for _, rows in frame.groupby(numbers, sort=True)]


def without_size(frame: pd.DataFrame) -> pd.DataFrame:
    """`frames.cells` with settings that differ in the size of the clean subset alone as one.

    Their names say the size where a study has several (`axes.clean_subset`); it is taken off.
    """
    sizes = frame["clean_subset"].fillna(0).astype(int)
    names = [
        shown.removesuffix(f", {counted(size, 'clean image')}")
        for shown, size in zip(frame["noise_display"], sizes, strict=True)
    ]
    slugs = [
        slug.removesuffix(f"-clean{size}")
        for slug, size in zip(frame["noise_slug"], sizes, strict=True)
    ]
    return frame.assign(noise_display=names, noise_slug=slugs)


def judged_by_given(frame: pd.DataFrame) -> list[str]:
    """Data sets whose test labels are given ones, which may be wrong."""
    return list(frame.loc[frame["judged_by"] != "", "dataset"].unique())


def seeds(frame: pd.DataFrame) -> str:
    """How many seeds the settings of the finished methods have: "5 seeds", "2 to 5 seeds"."""
    finished = frame[frame["done"]].groupby([*SETTING, "label"]).size()
    low, high = int(finished.min()), int(finished.max())
    return counted(high, "seed") if low == high else f"{low} to {high} seeds"


def legend(
    figure: Figure,
    drawn: Mapping[str, Look],
    frame: pd.DataFrame,
    remarks: Sequence[str],
    further: Sequence[Line2D] = (),
) -> None:
    """One legend below all panels; what marks on methods mean and the remarks are its title.

    Args:
        figure: its height grows with the legend.
        drawn: look of every method; those in grey have one entry together, those without a finished
            cell none.
        frame: `frames.cells` of the study.
        remarks: phrases, such as what bars mean.
        further: handles behind those of the methods.
    """
    finished = set(frame.loc[frame["done"], "label"])
    of_finished = [look for label, look in drawn.items() if label in finished]
    looks = [look for look in of_finished if not look.grey]
    handles = [
        Line2D([], [], label=textwrap.fill(look.name, LONGEST_NAME), **look.line())
        for look in looks
    ]
    if others := [look for look in of_finished if look.grey]:
        label = f"other methods ({len(others)})"
        handles.append(Line2D([], [], label=label, **others[0].line()))
    handles += further
    names = [handle.get_label() for handle in handles]
    longest = max(len(line) for name in names for line in name.splitlines())
    columns = max(1, min(4, len(handles), LETTERS_IN_A_ROW // (longest + 6)))
    in_colour = frame[frame["label"].map(lambda label: not drawn[label].grey)]
    phrases = [*marks.privilege_legend(in_colour), *remarks]
    if given := judged_by_given(frame):
        phrases.append(f"{', '.join(given)}: judged by labels that may be wrong")
    title = textwrap.fill("; ".join(phrases), 95)
    lines = math.ceil(sum(1 + name.count("\n") for name in names) / columns) + title.count("\n")
    figure.set_figheight(figure.get_figheight() + LINE_HEIGHT * max(0.0, lines - 2))
    made = figure.legend(
        handles=handles, title=title, loc="outside lower center", frameon=False,
        ncols=columns, columnspacing=1.6, handlelength=2.6,
    )  # fmt: skip
    made.get_title().set_multialignment("center")
