"""Tunes hyper-parameters with one budget for all: `python runners/tune.py STUDY --draws 8`.

For each data set of the study every method gets the same number of draws over the search ranges
that it declares (draw 0 is its default; a method without own hyper-parameters has one draw). A draw
is judged by its mean accuracy on clean development images over the study's noise settings, on
seeds that are never reported. The test set is not read.

Writes `benchmarks/tuned/<dataset>.yaml` (the best draw of each method) and
`benchmarks/tuned/<dataset>_draws.csv` (all draws). The runs themselves lie under
`results/tuning/<study>` and are resumed like any study.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from runners.system.signals import hold_signals

if __name__ == "__main__":
    hold_signals()  # as in run_grid.py

from ruamel.yaml import YAML

import methods
from runners.commands.arguments import all_overrides, guarded, run_parser
from runners.commands.catalogue import describe
from runners.commands.run_study import run_study
from runners.results.store import StudyFolder
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells
from runners.system.errors import UserError
from runners.system.files import write_text
from runners.tuning.draws import tuning_study

DEVELOPMENT_IMAGES = 1500


def judged(grid: Sequence[Cell], folder: StudyFolder) -> list[dict[str, Any]]:
    """One row a draw: method, draw, values, development accuracy per setting, mean, best or not.

    Raises:
        UserError: a cell has no record.
    """
    rows: dict[str, dict[str, Any]] = {}
    for cell in grid:
        record = folder.cell(cell.name).read_record()
        if record is None:
            raise UserError(f"{cell.name} has no record; its draw cannot be judged")
        row = rows.setdefault(cell.label, {"method": cell.method, "cell": cell, "accuracy": {}})
        setting = f"{cell.noise_slug}__s{cell.seed}"
        row["accuracy"][setting] = record["accuracy"]["last"]["dev"]
    for row in rows.values():
        row["mean"] = sum(row["accuracy"].values()) / len(row["accuracy"])
    best = {}
    for row in rows.values():  # the first of equals, so the default wins a tie
        if row["method"] not in best or row["mean"] > best[row["method"]]["mean"]:
            best[row["method"]] = row
    for row in rows.values():
        row["best"] = best[row["method"]] is row
    return list(rows.values())


def write_results(dataset: str, rows: Sequence[dict[str, Any]], out: Path, command: str) -> None:
    """Writes the tuned values (YAML) and all draws (CSV) of one data set.

    Methods that are not among the rows keep what they have in both files.
    """
    methods_at_hand = {row["method"] for row in rows}
    values, table = out / f"{dataset}.yaml", out / f"{dataset}_draws.csv"
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    before = yaml.load(values) if values.exists() else None
    tuned = {name: v for name, v in (before or {}).items() if name not in methods_at_hand}
    for row in rows:
        names = methods.declaration(row["method"]).searched
        hparams = row["cell"].hparams
        searched = {name: value for name, value in hparams.items() if name in names}
        if row["best"] and searched:
            tuned[row["method"]] = searched
    head = f"# Tuned on clean development images by `{command}`; all draws: {table.name}\n"
    text = io.StringIO(head)
    text.seek(0, io.SEEK_END)
    yaml.dump(tuned, text)
    write_text(values, text.getvalue())
    content = _draws_table(rows, table, methods_at_hand)
    write_text(table, content)


def _draws_table(rows: Sequence[dict[str, Any]], table: Path, replaced: set[str]) -> str:
    """The CSV of all draws: accuracy on the development set by setting, their mean, the best."""
    columns = ("method", "draw", "hparams", "accuracy", "mean", "best")
    kept: list[dict[str, Any]] = []
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if row["method"] not in replaced]
    new = [
        {
            "method": row["method"],
            "draw": row["cell"].label.rpartition("-draw")[2],
            "hparams": json.dumps(row["cell"].hparams),
            "accuracy": json.dumps({k: round(v, 6) for k, v in row["accuracy"].items()}),
            "mean": f"{row['mean']:.6f}",
            "best": row["best"],
        }
        for row in rows
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows([*kept, *new])
    return text.getvalue()


def parser() -> argparse.ArgumentParser:
    """The command line: that of `run_grid.py` and the budget."""
    command = run_parser("tune.py", __doc__.splitlines()[0])
    command.add_argument(
        "--draws", type=int, default=12, help="draws a method beside its defaults (default 12)"
    )
    command.add_argument(
        "--seeds", type=int, default=2, help="tuning seeds, from 100 on (default 2)"
    )
    command.add_argument(
        "--development",
        type=int,
        default=DEVELOPMENT_IMAGES,
        help=f"clean development images (default {DEVELOPMENT_IMAGES})",
    )
    command.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "tuned", metavar="DIR")
    return command


def main() -> int:
    options = parser().parse_args()
    return guarded(lambda: tune(options))


def tune(options: argparse.Namespace) -> int:
    """Runs all draws of all data sets of the study and writes what they came to."""
    if options.list:
        print(describe(options.list))
        return 0
    if options.study is None:
        raise UserError("tune.py: no study given: must be a YAML file")
    for name in ("draws", "seeds", "development"):
        if getattr(options, name) < 1:
            value = f"--{name}: {getattr(options, name)}"
            raise UserError(f"{value} is not allowed: must be at least 1")
    study = load_study(options.study, all_overrides(options))
    shows = ("plan", "status", "watch", "dry_run", "cancel", "logs", "only")
    only_part = any(getattr(options, name) for name in shows)
    if not only_part:
        _make_folder(options.out)
    options.results = options.results.resolve() / "tuning"
    for entry in study.datasets:
        dataset = entry.label
        own = tuning_study(
            options.study,
            entry,
            all_overrides(options),
            count=options.draws,
            seeds=options.seeds,
            development=options.development,
        )
        grid = cells(own)
        if code := run_study(own, options, grid):
            return code
        if not only_part:
            rows = judged(grid, StudyFolder(options.results, own.name))
            command = shlex.join(["python", "runners/tune.py", *sys.argv[1:]])
            write_results(dataset, rows, options.out, command)
            print(f"wrote {options.out / dataset}.yaml and {dataset}_draws.csv beside it")
    return 0


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out: {str(out)!r} cannot be made ({error.strerror}): must be a folder"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
