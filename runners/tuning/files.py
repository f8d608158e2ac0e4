"""The files of a tuning: the best values with what they were tuned under, all draws, all verdicts.

`<data set>.yaml` is read by studies, `<data set>_draws.csv` has one row a draw,
`<data set>_ranges.csv` one row a range. Methods that were not tuned this time keep their rows.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import methods
from runners.results.store import StudyFolder
from runners.study.cell import Cell
from runners.study.tuned import UNDER, TunedUnder
from runners.system.canonical import RESULTS_VERSION
from runners.system.errors import UserError
from runners.system.files import write_text
from runners.tuning.verdicts import Draw, Verdict, best

Draws = Mapping[str, Sequence[Draw]]
"""Method -> its draws."""

FIRST = ("method", "draw", "hparams", "mean", "best")


def finished_draws(grid: Sequence[Cell], folder: StudyFolder) -> Draws:
    """The draws of a tuning study out of its records.

    Raises:
        UserError: a cell has no record.
    """
    accuracy: dict[str, dict[str, float]] = {}
    for cell in grid:
        record = folder.cell(cell.name).read_record()
        if record is None:
            raise UserError(f"{cell.name} has no record; its draw cannot be judged")
        of_cell = record["accuracy"]["last"]["dev"]
        accuracy.setdefault(cell.label, {})[f"{cell.noise_slug}__s{cell.seed}"] = of_cell
    found: dict[str, list[Draw]] = {}
    for label, cell in {cell.label: cell for cell in grid}.items():
        names = methods.declaration(cell.method).searched
        values = {name: cell.hparams[name] for name in names}
        number = int(label.rpartition("-draw")[2])
        found.setdefault(cell.method, []).append(Draw(cell.method, number, values, accuracy[label]))
    return found


def write_values(path: Path, draws: Draws, grid: Sequence[Cell], command: str) -> None:
    """Writes the best draw of each method, and under what it was found."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = None, 100
    before = (yaml.load(path) if path.exists() else None) or {}
    under = before.pop(UNDER, {})
    for method, tried in draws.items():
        if values := dict(best(tried).hparams):
            before[method] = values
            under[method] = _under(tried, [c for c in grid if c.method == method]).model_dump()
    text = io.StringIO(f"# The last of the commands that wrote this: {command}\n")
    text.seek(0, io.SEEK_END)
    yaml.dump({UNDER: dict(sorted(under.items())), **dict(sorted(before.items()))}, text)
    write_text(path, text.getvalue())


def _under(tried: Sequence[Draw], cells: Sequence[Cell]) -> TunedUnder:
    protocol = cells[0].protocol
    names = ("network", "epochs", "lr", "batch_size", "clean_subset")
    return TunedUnder(
        **{name: protocol[name] for name in names},
        noises=list(dict.fromkeys(cell.noise_slug for cell in cells)),
        seeds=sorted({cell.seed for cell in cells}),
        draws=len(tried),
        results_version=RESULTS_VERSION,
    )


def write_draws(path: Path, draws: Draws) -> None:
    """Writes one row a draw: its values, accuracy on the development set by cell, the best."""
    rows = []
    for tried in draws.values():
        for draw in tried:
            first = (draw.method, draw.number, json.dumps(draw.hparams), f"{draw.mean:.6f}")
            row = dict(zip(FIRST, (*first, draw is best(tried)), strict=True))
            rows.append(row | {cell: f"{value:.6f}" for cell, value in draw.accuracy.items()})
    _write(path, rows)


def read_draws(path: Path) -> Draws:
    """The draws of an earlier tuning; empty without a file.

    Raises:
        UserError: the file is not what `write_draws` writes.
    """
    found: dict[str, list[Draw]] = {}
    if not path.exists():
        return found
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                cells = {k: float(v) for k, v in row.items() if k not in FIRST and v}
                draw = Draw(row["method"], int(row["draw"]), json.loads(row["hparams"]), cells)
                found.setdefault(draw.method, []).append(draw)
    except (KeyError, TypeError, ValueError) as error:
        text = f"{path}: no table of draws ({error!r}): move it away, it is written anew"
        raise UserError(text) from error
    return found


def write_ranges(path: Path, verdicts: Mapping[str, Sequence[Verdict]], draws: Draws) -> None:
    """Writes one row a range: what it is, its best value, the verdict and what it rests on."""
    rows = []
    for method, each in verdicts.items():
        declared = methods.declaration(method)
        for verdict in each:
            search = declared.searched[verdict.parameter]
            row = {
                "method": method,
                "parameter": verdict.parameter,
                "range": str(search),
                "widened": getattr(search, "widened", 0),
                "default": declared.defaults[verdict.parameter],
                "best": best(draws[method]).hparams[verdict.parameter],
                "verdict": verdict.words,
            }
            for edge, numbers in (("low", verdict.low), ("high", verdict.high)):
                names = (f"{edge}_gain", f"{edge}_se")
                row |= {n: f"{v:.4f}" for n, v in zip(names, numbers or (), strict=False)}
            rows.append(row)
    _write(path, rows)


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
