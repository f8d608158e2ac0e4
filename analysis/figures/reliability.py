"""Reliability diagrams: how often predictions of a confidence are right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.criteria import CRITERIA
from analysis.figures import panels
from analysis.style import COLOURS, STYLE, Look

FEWEST = 30
"""Predictions of a bin, over all seeds, from which on it is drawn: its accuracy has a standard
error of at most 0.09."""
DIAGONAL = {"color": COLOURS[-1], "linestyle": ":", "linewidth": 0.9, "zorder": 1.5}


def bins(records: Iterable[Mapping], criterion: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bins of the test images of several records as if they were of one.

    Args:
        records: finished cells, as stored.
        criterion: name of the criterion that has chosen their epochs.

    Returns:
        Number of predictions (B,), their mean confidence and their accuracy (B,), nan in an empty
        bin; B is 0 where no record has calibration under this criterion.
    """
    found = [(record.get("calibration") or {}).get(criterion) for record in records]
    found = [each for each in found if each]
    if not found:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    count = np.array([each["count"] for each in found], np.float64)
    total = count.sum(0)
    sums = [
        np.nansum(count * np.array([each[name] for each in found], np.float64), axis=0)
        for name in ("confidence", "accuracy")
    ]
    with np.errstate(invalid="ignore"):
        return total, sums[0] / total, sums[1] / total


def has_bins(done: pd.DataFrame, records: Mapping[str, Mapping], criterion: str) -> bool:
    """Whether any of these finished cells has calibration under a criterion."""
    return bool(len(bins([records[key] for key in done["key"]], criterion)[0]))


def diagram(
    frame: pd.DataFrame,
    part: pd.DataFrame,
    records: Mapping[str, Mapping],
    criterion: str,
    drawn: Mapping[str, Look],
) -> Figure:
    """Accuracy over mean confidence of the bins, a panel a setting; calibrated is the diagonal.

    Args:
        frame: `frames.cells` of the study.
        part: those of its finished cells that are drawn.
        records: of its finished cells, by key.
        criterion: name of the reported criterion.
        drawn: look of every label.
    """
    found = panels.settings(part, frame)
    with mpl.rc_context(STYLE):
        figure, axes = panels.grid(len(found), 2.3, 1, share=True)
        for (title, rows), (axis,) in zip(found, axes, strict=True):
            axis.plot([0, 100], [0, 100], **DIAGONAL)
            for label, look in drawn.items():
                mine = rows.loc[rows["label"] == label, "key"]
                total, confidence, accuracy = bins([records[key] for key in mine], criterion)
                enough = total >= FEWEST
                axis.plot(100 * confidence[enough], 100 * accuracy[enough], **look.line())
            axis.set(title=title, xlabel="confidence (%)", xlim=(-2, 102), ylim=(-2, 102))
            if axis.get_subplotspec().is_first_col():
                axis.set_ylabel(f"test accuracy (%), {CRITERIA[criterion].short}")
        seeds = panels.seeds(frame)
        together = "" if seeds == "1 seed" else f", {seeds} together"
        remark = f"bins of the predicted class's probability with {FEWEST} predictions or more"
        further = [Line2D([], [], label="calibrated", **DIAGONAL)]
        panels.legend(figure, drawn, frame, [remark + together], further)
    return figure
