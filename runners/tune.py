"""Tunes hyper-parameters with one budget for all: `python runners/tune.py STUDY`.

For each data set of the study every method is tried with its defaults and with twelve draws, a
Latin hypercube over the ranges that it declares (a method without ranges has its defaults only). A
draw is judged by its mean accuracy on clean development images over the study's noise settings, on
seeds that are never reported. The test set is not read.

Writes into the folder `tuned` beside the study file, where that study finds it (`--out
benchmarks/tuned` writes the values of the whole suite): `<dataset>.yaml`, the best draw of each
method; `<dataset>_draws.csv`, all draws; `<dataset>_ranges.csv`, whether the optimum of each range
lies inside; and a figure. The runs lie under `results/tuning/<study>` and are resumed like any
study; what is finished stands in `<dataset>_cells.csv`, and is not run again where the runs are
gone.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from runners.system.signals import hold_signals

if __name__ == "__main__":
    hold_signals()  # as in run_grid.py

import methods
from analysis import style, tuning_figure
from methods.declaration import LogUniform
from runners.commands.arguments import all_overrides, guarded, run_parser
from runners.commands.catalogue import describe
from runners.commands.run_study import run_study
from runners.results.store import StudyFolder
from runners.study.cell import Cell
from runners.study.config import Study, load_study
from runners.study.grid import cells
from runners.study.tuned import TUNED
from runners.system.errors import UserError
from runners.tuning.draws import tuning_study
from runners.tuning.files import (
    Draws,
    finished_draws,
    read_cells,
    read_draws,
    write_cells,
    write_draws,
    write_ranges,
    write_values,
)
from runners.tuning.verdicts import Draw, best, judge, paired_errors

DEVELOPMENT_IMAGES = 1500


def keep(dataset: str, new: Draws, grid: Sequence[Cell], out: Path) -> list[str]:
    """Writes values, draws, verdicts and figure of one data set; returns the verdicts in words.

    Methods that are not among the new draws keep what they have.
    """
    command = shlex.join(["python", "runners/tune.py", *sys.argv[1:]])
    table = out / f"{dataset}_draws.csv"
    draws = {**read_draws(table), **new}
    write_draws(table, draws)
    write_values(out / f"{dataset}.yaml", new, grid, command)
    verdicts = {m: judge(methods.declaration(m), tried) for m, tried in draws.items()}
    ranges = write_ranges(out / f"{dataset}_ranges.csv", verdicts, draws, new)
    panels = [_panel(row, draws[row["method"]]) for row in ranges]
    if panels:
        style.save(tuning_figure.draw(panels), out / f"{dataset}_draws")
    return [
        f"{method}.{v.parameter}: {v.words}; best {best(draws[method]).hparams[v.parameter]}"
        for method in new
        for v in verdicts[method]
    ]


def _panel(row: Mapping[str, Any], draws: Sequence[Draw]) -> tuning_figure.Panel:
    declared, parameter = methods.declaration(row["method"]), row["parameter"]
    return tuning_figure.Panel(
        method=declared.display,
        parameter=parameter,
        verdict=row["verdict"],
        logarithmic=isinstance(declared.searched.get(parameter), LogUniform),
        values=[draw.hparams[parameter] for draw in draws],
        means=[draw.mean for draw in draws],
        errors=paired_errors(draws),
        best=draws.index(best(draws)),
    )


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
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="default: `tuned` beside the study file"
    )
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
    shows = ("plan", "status", "watch", "dry_run", "cancel", "logs")
    only_shows = any(getattr(options, name) for name in shows)
    named, options.out = options.out, options.out or options.study.parent / "tuned"
    if not only_shows:
        if named is None and options.out.resolve() == TUNED:
            raise UserError(
                f"--out: not given, and beside {options.study} lie the tuned values of the suite: "
                f"must be a folder (--out {TUNED} writes these)"
            )
        _make_folder(options.out)
    options.results = options.results.resolve() / "tuning"
    for entry in study.datasets:
        own = tuning_study(
            options.study,
            entry,
            all_overrides(options),
            count=options.draws,
            seeds=options.seeds,
            development=options.development,
        )
        code = _tune(own, cells(own), entry.label, options, only_shows)
        if code:
            return code
    return 0


def _tune(
    own: Study, grid: list[Cell], dataset: str, options: argparse.Namespace, only_shows: bool
) -> int:
    """Runs the draws of one data set that have not been run yet; judges them when all have."""
    table = options.out / f"{dataset}_cells.csv"
    known = read_cells(table)
    options.skip = frozenset(cell.key for cell in grid if cell.key in known)
    code = 0
    try:
        if len(options.skip) < len(grid):
            code = run_study(own, options, grid)
        else:
            print(f"{len(grid)} of {len(grid)} cells done already: {table}")
    finally:  # also of a run that was stopped: its finished cells are not run again elsewhere
        if not only_shows:
            known = write_cells(table, grid, StudyFolder(options.results, own.name), known)
    if only_shows:
        return code
    if open_cells := [cell for cell in grid if cell.key not in known]:
        print(f"{table}: {len(grid) - len(open_cells)} of {len(grid)} cells; values when all are")
        return code
    for sentence in keep(dataset, finished_draws(grid, known), grid, options.out):
        print(sentence)
    print(f"wrote {options.out / dataset}.yaml; draws, ranges and a figure lie beside it")
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
