"""How figures look: fonts, colours, markers, and how they are written.

Made for print: as wide as the text of a page, no letter below 8 pt, colours of Okabe and Ito (Color
Universal Design, 2008) told apart by colour-blind readers, and a marker for each method besides.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from analysis import marks
from runners.system.files import write_atomically

PAGE_WIDTH = 6.5  # inches: the text of a letter or A4 page
COLOURS = ("#000000", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", ">", "X", "<", "*", "h")
OTHERS = "#BDBDBD"
"""The colour of methods that are left grey."""
MANY, MOST_COLOURED = 10, 8
"""Methods up to which all are in colour, and how many are where there are more."""
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
STYLE = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 8,
    "ytick.labelsize": 8, "legend.fontsize": 8, "legend.title_fontsize": 8,
    "font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.7, "axes.grid": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.5,
    "axes.axisbelow": True, "lines.linewidth": 1.1, "lines.markersize": 3.5,
    "figure.dpi": 100, "savefig.dpi": 200, "pdf.fonttype": 42,
    "text.parse_math": False,  # a $ in the name of a method is no formula
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How a method is drawn in every figure of a study: open markers see clean images."""

    name: str
    colour: str
    marker: str
    dashes: object
    open: bool
    grey: bool = False

    def line(self, **changes: object) -> dict[str, object]:
        """Arguments for `Axes.plot`; a grey line is thin, below the others and has no markers."""
        face = "white" if self.open else self.colour
        drawn = {"color": self.colour, "marker": self.marker, "linestyle": self.dashes}
        drawn |= {"markerfacecolor": face, "markeredgewidth": 1.0, "zorder": 3}
        if self.grey:
            drawn |= {"marker": "None", "markersize": 2.5, "linewidth": 0.7, "zorder": 2}
        return drawn | changes

    def point(self) -> dict[str, object]:
        """What `line` changes for a point of its own."""
        return {"linestyle": "none", "marker": self.marker}


def in_colour(
    labels: Sequence[str],
    named: Iterable[str],
    best: Iterable[str],
    few: int = MANY,
    most: int = MOST_COLOURED,
) -> list[str]:
    """Labels that a figure shows in colour: all of few, else the named ones and the best.

    Args:
        labels: of all methods.
        named: the reference and what the user asks for; all of them are shown.
        best: from the best on, as many as there is room for; the first labels where there is none.
        few: number up to which all are shown.
        most: number that is shown of more.
    """
    if len(labels) <= few:
        return list(labels)
    named = [label for label in dict.fromkeys(named) if label in labels]
    best = [label for label in best if label in labels] or labels
    return list(dict.fromkeys([*named, *best]))[: max(most, len(named))]


def colours(labels: Collection[str], coloured: Collection[str]) -> tuple[str, ...]:
    """Colours to give out: no grey among them where methods are left grey."""
    return COLOURS if len(coloured) == len(labels) else COLOURS[:-1]


def looks(frame: pd.DataFrame, coloured: Sequence[str] | None = None) -> dict[str, Look]:
    """A look for every label of `frames.cells`, in the order of the study.

    Args:
        frame: of the study.
        coloured: labels in colour, in the order in which colours are given; None: all of them.
            Where others are left grey, no colour is a grey (`colours`).
    """
    rows = {row.label: row for row in frame.drop_duplicates("label").itertuples()}
    coloured = list(rows) if coloured is None else list(coloured)
    given = colours(rows, coloured)
    looks = {}
    for label, row in rows.items():
        name, sees = f"{row.display}{marks.marks(row.privileges)}", "clean_subset" in row.privileges
        if label not in coloured:
            looks[label] = Look(name, OTHERS, "o", "-", sees, grey=True)
            continue
        place = coloured.index(label)
        again = place // len(given)  # after the last colour they start anew with other dashes
        looks[label] = Look(
            name,
            given[place % len(given)],
            MARKERS[place % len(MARKERS)],
            DASHES[again % len(DASHES)],
            sees,
        )
    return looks


def _smaller(image: io.BytesIO) -> io.BytesIO:
    """The same PNG with a palette of 256 colours: a third of the size."""
    smaller = io.BytesIO()
    with Image.open(image) as whole:
        palette = whole.convert("RGB").quantize(256)
        palette.save(smaller, "png", dpi=whole.info["dpi"], optimize=True)
    return smaller


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png (200 dpi) and `stem`.pdf, the same bytes for the same figure."""
    paths = []
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        path = stem.with_name(stem.name + suffix)
        image = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(image, format=suffix[1:], metadata=metadata)
        if suffix == ".png":
            image = _smaller(image)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file, image=image: file.write(image.getvalue()))
        paths.append(path)
    return paths
