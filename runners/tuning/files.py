"""The files of a tuning: the best values with what they were tuned under, all draws, all verdicts.

`<data set>.yaml` is read by studies; `<data set>_cells.csv` has one row a finished cell, from which
a tuning goes on, `<data set>_draws.csv` one row a draw, `<data set>_ranges.csv` one a range.
Methods that were not tuned this time keep their rows.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
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


def read_cells(path: Path) -> dict[str, float]:
    """Key of a cell -> accuracy on the development set, of this results version; empty without.

    Raises:
        UserError: the file is not what `write_cells` writes.
    """
    rows = _read(path)
    try:
        of_now = [row for row in rows if int(row["results_version"]) == RESULTS_VERSION]
        return {row["key"]: float(row["accuracy"]) for row in of_now}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: no table of cells ({error!r}): move it away") from error


def write_cells(
    path: Path, grid: Sequence[Cell], folder: StudyFolder, known: Mapping[str, float]
) -> dict[str, float]:
    """Writes one row a finished cell; returns what is known of the grid now.

    Methods that are not in the grid keep their rows.
    """
    known = {**known, **read_cells(path)}  # another run may have written since these were read
    found = {}
    of_grid = {cell.method for cell in grid}
    rows = [row for row in _read(path) if row.get("method") not in of_grid]
    for cell in grid:
        accuracy = known.get(cell.key)
        record = folder.cell(cell.name).read_record() if accuracy is None else None
        if record is not None:
            accuracy = record["accuracy"]["last"]["dev"]
        if accuracy is not None:
            found[cell.key] = accuracy
            named = {"method": cell.method, "label": cell.label, "noise": cell.noise_slug}
            numbers = {"seed": cell.seed, "accuracy": repr(accuracy)}
            version = {"results_version": RESULTS_VERSION, "key": cell.key}
            rows.append(named | numbers | version)
    _write(path, rows)
    return found


def finished_draws(grid: Sequence[Cell], accuracy: Mapping[str, float]) -> Draws:
    """The draws of a tuning study, all of whose cells have an accuracy by key."""
    of_label: dict[str, dict[str, float]] = {}
    for cell in grid:
        setting = f"{cell.noise_slug}__s{cell.seed}"
        of_label.setdefault(cell.label, {})[setting] = accuracy[cell.key]
    found: dict[str, list[Draw]] = {}
    for label, cell in {cell.label: cell for cell in grid}.items():
        names = methods.declaration(cell.method).searched
        values = {name: cell.hparams[name] for name in names}
        number = int(label.rpartition("-draw")[2])
        draw = Draw(cell.method, number, values, of_label[label])
        found.setdefault(cell.method, []).append(draw)
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
            under_now = _under(tried, [c for c in grid if c.method == method])
            under[method] = under_now.model_dump(exclude_defaults=True)
    text = io.StringIO(f"# The last of the commands that wrote this: {command}\n")
    text.seek(0, io.SEEK_END)
    yaml.dump({UNDER: dict(sorted(under.items())), **dict(sorted(before.items()))}, text)
    write_text(path, text.getvalue())


def _under(tried: Sequence[Draw], cells: Sequence[Cell]) -> TunedUnder:
    protocol, declared = cells[0].protocol, methods.declaration(cells[0].method)
    names = ("network", "epochs", "lr", "batch_size", "clean_subset")
    return TunedUnder(
        **{name: protocol[name] for name in names},
        noises=list(dict.fromkeys(cell.noise_slug for cell in cells)),
        seeds=sorted({cell.seed for cell in cells}),
        draws=len(tried),
        results_version=RESULTS_VERSION,
        fixed={
            name: value
            for name, value in cells[0].hparams.items()
            if name not in declared.searched and value != declared.defaults[name]
        },
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
    try:
        for row in _read(path):
            cells = {k: float(v) for k, v in row.items() if k not in FIRST and v}
            draw = Draw(row["method"], int(row["draw"]), json.loads(row["hparams"]), cells)
            found.setdefault(draw.method, []).append(draw)
    except (KeyError, TypeError, ValueError) as error:
        text = f"{path}: no table of draws ({error!r}): move it away, it is written anew"
        raise UserError(text) from error
    return found


def write_ranges(
    path: Path, verdicts: Mapping[str, Sequence[Verdict]], draws: Draws, new: Collection[str]
) -> list[dict[str, Any]]:
    """Writes one row a range: what it is, its best value, the verdict and what it rests on.

    Args:
        verdicts: of every method with draws, by today's ranges.
        draws: of the same methods.
        new: methods that were drawn just now. The others keep the rows that they have, since their
            draws may be of narrower ranges than today's.

    Returns:
        All rows.
    """
    rows, earlier = [], _read(path)
    for method, each in verdicts.items():
        kept = [row for row in earlier if row.get("method") == method and method not in new]
        rows += kept or [_range_row(method, verdict, draws[method]) for verdict in each]
    _write(path, rows)
    return rows


def _range_row(method: str, verdict: Verdict, draws: Sequence[Draw]) -> dict[str, Any]:
    declared = methods.declaration(method)
    search = declared.searched[verdict.parameter]
    row = {
        "method": method,
        "parameter": verdict.parameter,
        "range": str(search),
        "widened": getattr(search, "widened", 0),
        "default": declared.defaults[verdict.parameter],
        "best": best(draws).hparams[verdict.parameter],
        "verdict": verdict.words,
    }
    for edge, numbers in (("low", verdict.low), ("high", verdict.high)):
        names = (f"{edge}_gain", f"{edge}_se")
        row |= {n: f"{v:.4f}" for n, v in zip(names, numbers or (), strict=False)}
    return row


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
