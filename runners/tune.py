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
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import yaml  # noqa: E402

import methods  # noqa: E402
from runners import run_grid  # noqa: E402
from runners.config import ConfigError, Study, load_study  # noqa: E402
from runners.grid import Cell, cells  # noqa: E402
from runners.seeds import stream  # noqa: E402
from runners.store import StudyFolder, write_atomically  # noqa: E402

FIRST_SEED = 100
"""Tuning seeds start here; reported studies start at 0."""

DEVELOPMENT_IMAGES = 1500


def draws(dataset: str, method: str, count: int) -> list[dict[str, Any]]:
    """The hyper-parameters to try: the default, then random draws of the declared ranges."""
    declared = methods.declaration(method)
    tried: list[dict[str, Any]] = [{}]
    rng = stream("tuning", dataset, method)
    while len(tried) < count and (drawn := declared.draw(rng)):
        tried.append(drawn)
    return tried


def variants(study: Study, dataset: str, count: int) -> list[dict[str, Any]]:
    """Method entries of the tuning study: `<method>-draw<i>` with the values of the draw."""
    names = dict.fromkeys(entry.method for entry in study.methods)
    return [
        {"name": name, "label": f"{_short(name)}-draw{i}", **values}
        for name in names
        for i, values in enumerate(draws(dataset, name, count))
    ]


def _short(method: str) -> str:
    return method.rpartition(":")[2]


def tuning_study(path: Path, dataset: str, options: argparse.Namespace) -> Study:
    """The study's settings on one data set, with draws as variants and a development set."""
    study = load_study(path, options.overrides)
    seeds = list(range(FIRST_SEED, FIRST_SEED + options.seeds))
    changed = {
        "study": f"{study.name}-{dataset}",
        "axes.dataset": [dataset],
        "axes.method": variants(study, dataset, options.draws),
        "axes.seed": seeds,
        "protocol.dev": options.development,
        "protocol.hparams": "default",
    }
    overrides = [f"{key}={json.dumps(value)}" for key, value in changed.items()]
    return load_study(path, [*options.overrides, *overrides], tuning=True)


def judged(grid: Sequence[Cell], folder: StudyFolder) -> list[dict[str, Any]]:
    """One row a draw: method, draw, values, development accuracy per setting, mean, best or not.

    Raises:
        run_grid.UserError: a cell has no record.
    """
    rows: dict[str, dict[str, Any]] = {}
    for cell in grid:
        record = folder.cell(cell.name).read_record()
        if record is None:
            raise run_grid.UserError(f"{cell.name} has no record; its draw cannot be judged")
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
    """Writes the tuned values (YAML) and all draws (CSV) of one data set."""
    out.mkdir(parents=True, exist_ok=True)
    tuned = {}
    for row in rows:
        searched = {
            name: value
            for name, value in row["cell"].hparams.items()
            if methods.declaration(row["method"]).fields[name].metadata.get("search")
        }
        if row["best"] and searched:
            tuned[row["method"]] = searched
    head = f"# Tuned on clean development images by `{command}`; all draws: {dataset}_draws.csv\n"
    text = head + yaml.safe_dump(tuned, sort_keys=True)
    write_atomically(out / f"{dataset}.yaml", lambda file: file.write(text.encode()))

    table = io.StringIO()
    settings = sorted(rows[0]["accuracy"])
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["method", "draw", "hparams", *settings, "mean", "best"])
    for row in rows:
        draw = row["cell"].label.rpartition("-draw")[2]
        hparams = json.dumps(row["cell"].hparams)
        scores = [f"{row['accuracy'][setting]:.4f}" for setting in settings]
        writer.writerow([row["method"], draw, hparams, *scores, f"{row['mean']:.4f}", row["best"]])
    content = table.getvalue().encode()
    write_atomically(out / f"{dataset}_draws.csv", lambda file: file.write(content))


def parser() -> argparse.ArgumentParser:
    """The command line: that of `run_grid.py` and the budget."""
    made = run_grid.parser()
    made.prog, made.description = "tune.py", __doc__.splitlines()[0]
    made.add_argument("--draws", type=int, default=8, help="draws a method (default 8)")
    made.add_argument("--seeds", type=int, default=1, help="tuning seeds, from 100 on (default 1)")
    made.add_argument(
        "--development",
        type=int,
        default=DEVELOPMENT_IMAGES,
        help=f"clean development images (default {DEVELOPMENT_IMAGES})",
    )
    made.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "tuned", metavar="DIR")
    return made


def main() -> int:
    options = parser().parse_args()
    try:
        return tune(options)
    except (ConfigError, run_grid.UserError, run_grid.DataError) as error:
        for problem in getattr(error, "problems", [str(error)]):
            print(problem, file=sys.stderr)
        return 2


def tune(options: argparse.Namespace) -> int:
    """Runs all draws of all data sets of the study and writes what they came to."""
    if options.study is None:
        raise run_grid.UserError("tune.py: no study given: must be a YAML file")
    if options.draws < 1 or options.seeds < 1:
        raise run_grid.UserError("tune.py: --draws and --seeds must be at least 1")
    study = load_study(options.study, options.overrides)
    out = options.results.resolve()
    options.results = out / "tuning"
    for dataset in study.datasets:
        own = tuning_study(options.study, dataset, options)
        grid = cells(own)
        code = run_grid.run_study(own, options, grid)
        if code or options.plan or options.only:
            return code
        rows = judged(grid, StudyFolder(options.results, own.name))
        command = f"python runners/tune.py {options.study.name} --draws {options.draws}"
        write_results(dataset, rows, options.out, command)
        print(f"wrote {options.out / dataset}.yaml and {dataset}_draws.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
