"""Learning and memorisation curves."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import panels
from analysis.style import STYLE, Look


def learning(frame: pd.DataFrame, epochs: pd.DataFrame, drawn: Mapping[str, Look]) -> Figure:
    """Test accuracy after every epoch: mean over seeds, band from lowest to highest seed.

    Args:
        frame: `frames.cells` of the study.
        epochs: rows of `frames.epochs` of the study, not empty.
        drawn: look of every label.
    """
    return _curves(frame, epochs, drawn, {"test": "test accuracy (%)"}, height=2.4)


def memorisation(frame: pd.DataFrame, epochs: pd.DataFrame, drawn: Mapping[str, Look]) -> Figure:
    """Of the training images with a wrong label: share predicted as given, and as true.

    Args:
        frame: `frames.cells` of the study.
        epochs: rows of `frames.epochs` that have `fits_given`, not empty.
        drawn: look of every label.
    """
    rows = {
        "fits_given": "wrongly labelled images\npredicted as given (%)",
        "fits_true": "wrongly labelled images\npredicted as true (%)",
    }
    return _curves(frame, epochs, drawn, rows, height=1.8)


def _curves(
    frame: pd.DataFrame,
    epochs: pd.DataFrame,
    drawn: Mapping[str, Look],
    values: dict[str, str],
    height: float,
) -> Figure:
    found = panels.settings(epochs, frame)
    share = frame["dataset"].nunique() == 1
    with mpl.rc_context(STYLE):
        figure, of_panels = panels.grid(len(found), height, len(values), share=share)
        for (title, rows), axes in zip(found, of_panels, strict=True):
            axes[0].set_title(title)
            for axis, (value, words) in zip(axes, values.items(), strict=True):
                _bands(axis, rows, value, drawn)
                if axis.get_subplotspec().is_first_col():
                    axis.set_ylabel(words)
            axes[-1].set_xlabel("epoch")
        of = panels.seeds(frame)
        bands = "one seed" if of == "1 seed" else f"bands: lowest to highest of {of}"
        panels.legend(figure, drawn, frame, [bands])
    return figure


def _bands(axis: Axes, rows: pd.DataFrame, value: str, drawn: Mapping[str, Look]) -> None:
    last = int(rows["epoch"].max())
    every = max(1, round(last / 6))
    for place, (label, look) in enumerate(drawn.items()):
        over_seeds = rows[rows["label"] == label].groupby("epoch")[value]
        low, mean, high = (100 * over_seeds.agg(how) for how in ("min", "mean", "max"))
        if not look.grey:
            axis.fill_between(mean.index, low, high, color=look.colour, alpha=0.18, linewidth=0)
        axis.plot(mean.index, mean, markevery=(place % every, every), **look.line())
    axis.xaxis.get_major_locator().set_params(integer=True)
