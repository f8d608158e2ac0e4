"""The door for notebooks: `from analysis import records; records.load("results/default")`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis import frames, studies
from analysis.criteria import CRITERIA


def load(folder: str | Path, metric: str = "accuracy") -> pd.DataFrame:
    """A study as one frame, a row a planned cell, finished or not.

    Args:
        folder: of the study, as run or packed.
        metric: a name of `criteria.METRICS`.

    Returns:
        The columns of `frames.cells`, which docs/records.md lists, under every criterion.

    Raises:
        UserError: the folder is no study.
    """
    return frames.cells(studies.load(Path(folder)), metric, list(CRITERIA))


def load_epochs(folder: str | Path) -> pd.DataFrame:
    """The epochs of a study as one frame, a row an epoch of a finished cell: `frames.epochs`.

    Raises:
        UserError: the folder is no study.
    """
    return frames.epochs(studies.load(Path(folder)))
