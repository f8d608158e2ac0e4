"""A sheet of images with their labels: what a person looks at first."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from runners.system.files import write_atomically

COLUMNS, ROWS = 10, 8
LONGEST = 16


def contact_sheet(frame: pd.DataFrame, images: np.ndarray, path: Path) -> Path:
    """Draws the first rows of a table of suspects (see `suspect_scores.table`).

    Args:
        images: uint8 (N, C, H, W), by `position`.
        path: of the PNG.
    """
    shown = frame[frame["score"].notna()].head(COLUMNS * ROWS)
    rows = -(-len(shown) // COLUMNS) or 1
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(1.15 * COLUMNS, 1.6 * rows), layout="constrained")
        grid = np.atleast_1d(figure.subplots(rows, COLUMNS)).ravel()
        for axes in grid:
            axes.axis("off")
        for axes, row in zip(grid, shown.itertuples(), strict=False):
            image = images[row.position].transpose(1, 2, 0)
            axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
            changed = row.proposed and row.proposed != row.given
            second = f"\n→ {_short(row.proposed)}" if changed else "\n"
            axes.set_title(f"{row.rank}. {_short(row.given)}{second}", fontsize=8)
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=100, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(image.getvalue()))
    return path


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
