"""Made-up studies for figures, and what `make_figures.py` draws of them, without a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import command, make_figures, studies
from tests.helpers.records import (
    ASYMMETRIC,
    HARDER,
    METHODS,
    SYMMETRIC,
    cell,
    epoch_lines,
    record,
    write_study,
)


def made_study(folder: Path, noises=(SYMMETRIC, HARDER, ASYMMETRIC), methods=METHODS):
    """Two seeds of every method and noise, a point apart."""
    cells = [cell(m, noise, seed) for noise in noises for m in methods for seed in range(2)]
    made, epochs = [], {}
    for planned in cells:
        last = 0.7 + 0.02 * list(METHODS).index(planned["method"]) + 0.01 * planned["seed"]
        made.append(record(planned, last, 0.85))
        epochs[planned["key"]] = epoch_lines(planned, last, 0.85)
    return studies.load(write_study(folder, cells, made, epochs, packed=True))


def of_records(
    folder: Path, cells: Sequence[dict], changes: Callable[[dict], dict[str, Any]]
) -> Path:
    """A study whose records have what a function makes of a cell: `last`, and other fields."""
    made = []
    for planned in cells:
        changed = changes(planned)
        made.append(record(planned, changed.pop("last", 0.8), **changed))
    return write_study(folder, cells, made, packed=True)


def drawn(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: object) -> dict[str, Figure]:
    """The figures that the command draws, by their file's name without suffix."""
    figures: dict[str, Figure] = {}

    def keep(figure: Figure, stem: Path) -> list[Path]:
        figures[stem.name] = figure
        return [stem]

    monkeypatch.setattr(make_figures.style, "save", keep)
    monkeypatch.setattr(sys, "argv", ["make_figures.py", str(folder), *map(str, arguments)])
    command.run(make_figures.main)
    return figures


def visible(figure: Figure) -> list[Axes]:
    """The axes of a figure that are shown, in the order in which they were made."""
    return [axis for axis in figure.axes if axis.get_visible()]


def legend(figure: Figure) -> list[str]:
    """The entries of the legend below all panels."""
    return [text.get_text() for text in figure.legends[0].get_texts()]
