"""Heat maps: what the noise has made of each class, and what methods predict for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from analysis import criteria
from analysis.figures import panels
from analysis.style import PAGE_WIDTH, STYLE

COLOURS = "Blues"
"""One hue from light to dark: read without colours, and in print."""
SHADES = PowerNorm(0.5, vmin=0, vmax=100)
"""A root, so that confusions of a few percent can be seen beside a diagonal of ninety."""
IN_A_ROW, ROWS, HEIGHT = 3, 4, 1.95
"""Maps in a row, rows on a page, and inches of a row."""
MOST_WITH_VALUES, MOST_VECTOR = 10, 20
"""Classes up to which values are printed, and up to which every cell is a shape of its own."""

Map = tuple[str, np.ndarray | None]
"""A title and a matrix (K, K) in [0, 1]; None where there is nothing to show."""


def of_noise(frame: pd.DataFrame, records: Mapping[str, Mapping]) -> list[Map]:
    """Title and realised transition matrix (K, K) of every setting where the truth is known.

    Rows are true classes and sum to 1. The matrix is counted over all training images, and the mean
    over the seeds. Sizes of the clean subset are no settings here.

    Args:
        frame: `frames.cells` of a study.
        records: of its finished cells, by key.
    """
    maps = []
    for title, rows in panels.settings(panels.without_size(frame[frame["done"]]), frame):
        keys = rows.drop_duplicates("seed")["key"]
        found = [criteria.square(records[key]["noise"].get("matrix")) for key in keys]
        maps.append((title, _mean(found)))
    return [each for each in maps if each[1] is not None]


def of_predictions(
    frame: pd.DataFrame,
    part: pd.DataFrame,
    records: Mapping[str, Mapping],
    criterion: str,
    labels: Sequence[str],
) -> list[Map]:
    """Title and confusion matrix (K, K) of the test set: of every method, all settings.

    Rows are the classes of the test labels and sum to 1 (to 0 of a class without test images), the
    mean over seeds.
    Methods that have none in any of the settings are left out.

    Args:
        frame: `frames.cells` of the study.
        part: those of its finished cells that are shown.
        records: of its finished cells, by key.
        criterion: name of the reported criterion.
        labels: methods to show.
    """
    one = frame.groupby(["dataset", "noise_slug"]).ngroups == 1
    display = dict(zip(frame["label"], frame["display"], strict=True))
    maps = []
    for label in labels:
        of_label: list[Map] = []
        for setting, rows in panels.settings(part, frame):
            mine = rows[rows["label"] == label]
            found = [criteria.confusion(records[key], criterion) for key in mine["key"]]
            shares = [
                each / np.maximum(each.sum(1, keepdims=True), 1)
                for each in found
                if each is not None
            ]
            title = panels.in_lines(display[label])
            of_label.append((title if one else f"{title}\n{setting}", _mean(shares)))
        maps += of_label if any(matrix is not None for _, matrix in of_label) else []
    return maps


def _mean(matrices: Iterable[np.ndarray | None]) -> np.ndarray | None:
    known = [matrix for matrix in matrices if matrix is not None]
    return np.mean(known, axis=0) if known else None


def heat_maps(maps: Sequence[Map], columns: int, of: str, of_rows: str = "true class") -> Figure:
    """Matrices in percent of their rows; values of 0.5 and above are printed where they fit.

    Args:
        maps: row by row, one of them with a matrix.
        columns: of the figure, at most `IN_A_ROW`.
        of: what the columns of a matrix are.
        of_rows: what its rows are.
    """
    bands = -(-len(maps) // columns)
    titles = max(title.count("\n") for title, _ in maps)
    height = (HEIGHT + panels.LINE_HEIGHT * titles) * bands + 0.4
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_WIDTH, height), layout="compressed")
        axes = figure.subplots(bands, columns, squeeze=False)
        for axis in axes.flat:
            axis.set_visible(False)
        for place, ((title, matrix), axis) in enumerate(zip(maps, axes.flat, strict=False)):
            if matrix is None:
                continue
            axis.set_visible(True)
            mesh = _heat_map(axis, 100 * matrix)
            axis.set_title(title)
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(of_rows)
            if place + columns >= len(maps):
                axis.set_xlabel(of)
        bar = figure.colorbar(mesh, ax=axes, shrink=min(1.0, 1.6 / bands), aspect=25)
        bar.set_label(f"share of the {of_rows} (%)")
        bar.set_ticks([0, 1, 5, 10, 25, 50, 75, 100])
    return figure


def _heat_map(axis: Axes, percent: np.ndarray) -> object:
    classes = len(percent)
    mesh = axis.pcolormesh(
        percent, cmap=COLOURS, norm=SHADES, rasterized=classes > MOST_VECTOR
    )  # fmt: skip
    axis.invert_yaxis()
    axis.set_aspect("equal")
    axis.grid(visible=False)
    every = 1 if classes <= MOST_WITH_VALUES else -(-classes // 5)
    names = range(0, classes, every)
    axis.set_xticks([name + 0.5 for name in names], names)
    axis.set_yticks([name + 0.5 for name in names], names)
    axis.tick_params(length=0)
    if classes <= MOST_WITH_VALUES:
        for (row, column), value in np.ndenumerate(percent):
            if value >= 0.5:
                colour = "white" if SHADES(value) > 0.6 else "black"
                text = axis.text(
                    column + 0.5, row + 0.5, f"{value:.0f}", color=colour,
                    ha="center", va="center_baseline",
                )  # fmt: skip
                if value >= 99.5:  # a letter too wide for its cell, whose neighbours are white
                    halo = withStroke(linewidth=2, foreground=mesh.cmap(1.0))
                    text.set_path_effects([halo])
    return mesh
