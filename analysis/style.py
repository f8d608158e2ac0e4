"""How figures look: fonts, colours, markers, and how they are written.

Made for print: as wide as the text of a page, no letter below 8 pt, colours of Okabe and Ito (Color
Universal Design, 2008) told apart by colour-blind readers, and a marker for each method besides.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from analysis import marks
from runners.system.files import write_atomically

PAGE_WIDTH = 6.5  # inches: the text of a letter or A4 page
COLOURS = ("#000000", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", ">", "X", "<", "*", "h")
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
STYLE = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 8,
    "ytick.labelsize": 8, "legend.fontsize": 8, "legend.title_fontsize": 8,
    "font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.7, "axes.grid": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.5,
    "axes.axisbelow": True, "lines.linewidth": 1.1, "lines.markersize": 3.5,
    "figure.dpi": 100, "savefig.dpi": 200, "pdf.fonttype": 42,
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How a method is drawn in every figure of a study: open markers see clean images."""

    name: str
    colour: str
    marker: str
    dashes: object
    open: bool

    def line(self, **changes: object) -> dict[str, object]:
        """Arguments for `Axes.plot`."""
        face = "white" if self.open else self.colour
        drawn = {"color": self.colour, "marker": self.marker, "linestyle": self.dashes}
        return drawn | {"markerfacecolor": face, "markeredgewidth": 1.0} | changes


def looks(frame: pd.DataFrame) -> dict[str, Look]:
    """A look for every label, fixed by its place in the study (see `frames.cells`)."""
    looks = {}
    for place, row in enumerate(frame.drop_duplicates("label").itertuples()):
        again = place // len(COLOURS)  # after the last colour they start anew with other dashes
        looks[row.label] = Look(
            f"{row.display}{marks.marks(row.privileges)}",
            COLOURS[place % len(COLOURS)],
            MARKERS[place % len(MARKERS)],
            DASHES[again % len(DASHES)],
            "clean_subset" in row.privileges,
        )
    return looks


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png (200 dpi) and `stem`.pdf, the same bytes for the same figure."""
    paths = []
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        path = stem.with_name(stem.name + suffix)
        image = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(image, format=suffix[1:], metadata=metadata)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file, image=image: file.write(image.getvalue()))
        paths.append(path)
    return paths
