"""How good lists of wrong labels are: `python runners/benchmark_suspects.py [--data DIR]`.

For each setting and seed one row for the list that `analysis/suspects.py` makes of three methods,
and one for cleanlab's self-confidence on out-of-sample probabilities of cross-entropy in five
folds: the same network, epochs and labels, and each the cost of four trainings by cross-entropy
(one each for cross-entropy and GCE, two for co-teaching; five times 4/5). `--study DIR` adds the
lists of a finished study. Rows that are there already are not made again.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import pandas as pd
import torch

from analysis import studies
from analysis.suspect_scores import groups, quality, table
from datasets.base import UNKNOWN
from runners.cell.build import build_sets, load_data, set_arithmetic
from runners.cell.noise_rate import out_of_sample
from runners.commands.arguments import all_overrides, guarded, run_parser
from runners.commands.run_study import run_study
from runners.results.places import data_of_study
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells
from runners.system.errors import UserError
from runners.system.files import write_text

CPU = torch.device("cpu")
FOLDS = 5
SETTINGS = {
    "symmetric-0.4": "{dataset: fashion_mnist_mini, noise: {name: symmetric, rate: 0.4}",
    "asymmetric-0.4": "{dataset: fashion_mnist_mini, noise: {name: asymmetric, rate: 0.4}",
    "cifar10n-worst": "{dataset: cifar10_jpeg, noise: {name: human, labels: worst}",
}
STUDY = """
study: {name}
axes: {axes}, method: [cross_entropy, gce, co_teaching], seed: [{seed}]}}
protocol: {{network: small_cnn, epochs: 12, batch_size: 128, hparams: default, augment: none}}
"""
NUMBERS = ("wrong", "average_precision", "roc_auc", "found")
COLUMNS = ("setting", "seed", "list", "trainings", *NUMBERS)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(
        prog="benchmark_suspects.py", description=__doc__.splitlines()[0]
    )
    arguments.add_argument(
        "--settings", nargs="*", choices=SETTINGS, default=[*SETTINGS], metavar="NAME",
        help=f"some of {', '.join(SETTINGS)}",
    )  # fmt: skip
    arguments.add_argument("--seeds", nargs="*", type=int, default=[20, 21, 22], metavar="N")
    arguments.add_argument("--study", type=Path, metavar="DIR", help="add a finished study")
    arguments.add_argument("--data", type=Path, metavar="DIR", help="root of the data sets")
    arguments.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR",
                           help="where the studies of the benchmark are run")  # fmt: skip
    arguments.add_argument("--out", type=Path, default=ROOT / "docs" / "suspects.csv")
    return arguments


def run(options: argparse.Namespace) -> int:
    """Makes the rows that are missing, and writes the file after each."""
    rows = _read(options.out)
    if options.study:
        for row in of_study(options.study, options.data):
            rows = _written(options.out, rows, row)
        return 0
    for setting in options.settings:
        for seed in options.seeds:
            cell = _study(setting, seed, options)
            for name, make in (("suspects.py", _ours), ("cleanlab", _cleanlab)):
                if (setting, str(seed), name) not in rows:
                    found = make(cell, options)
                    row = {"setting": setting, "seed": seed, "list": name, "trainings": 4}
                    rows = _written(options.out, rows, row | found)
    return 0


def of_study(folder: Path, root: Path | None) -> Iterator[dict[str, Any]]:
    """A row for each list of a finished study.

    Raises:
        UserError: it is no study with samples, or its truth is not known.
    """
    study = studies.load(folder)
    for group in groups(study):
        own = data_of_study(folder, group.first["dataset"])
        arrays = own.dataset.load(root or own.root)
        found = quality(_judged(table(study, group, own.dataset, arrays), own.dataset))
        if found is None:
            raise UserError(f"{folder}: where no label is wrong, or none is known, none is judged")
        methods = {cell["label"] for cell, _ in group.cells}
        yield {
            "setting": group.first["noise_slug"],
            "seed": " ".join(sorted({str(cell["seed"]) for cell, _ in group.cells})),
            "list": f"study {study.name} ({len(methods)} methods)",
            "trainings": "",
            **_rounded(found),
        }


def _judged(frame: pd.DataFrame, dataset: Any) -> pd.DataFrame:
    numbers = {name: k for k, name in enumerate(dataset.class_names)}
    wrong = (frame["truth"] != UNKNOWN) & (frame["truth"] != frame["given"].map(numbers))
    return frame.assign(wrong=wrong)


def _study(setting: str, seed: int, options: argparse.Namespace) -> Path:
    """The study file of a setting and seed, in the folder of results."""
    name = f"suspects-{setting}-{seed}"
    path = options.results / f"{name}.yaml"
    write_text(path, STUDY.format(name=name, axes=SETTINGS[setting], seed=seed))
    return path


def _ours(study: Path, options: argparse.Namespace) -> dict[str, Any]:
    arguments = [str(study), "--results", str(options.results), "--device", "cpu"]
    arguments += ["--data", str(options.data)] if options.data else []
    parsed = run_parser("run_grid.py", "").parse_args(arguments)
    loaded = load_study(study, all_overrides(parsed))
    if run_study(loaded, parsed, cells(loaded)):
        raise UserError(f"{study}: its cells failed")
    (row,) = of_study(options.results / study.stem, options.data)
    return {name: row[name] for name in NUMBERS}


def _cleanlab(study: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Self-confidence of cleanlab on out-of-sample probabilities of the whole training part."""
    from cleanlab.rank import get_label_quality_scores  # a development dependency

    first: Cell = cells(load_study(study))[0]
    cell = replace(first, protocol={**first.protocol, "noisy_val": 0.0})
    torch.set_num_threads(1)
    set_arithmetic(cell.protocol, CPU)
    data = load_data(cell, options.data)
    sets = build_sets(cell, data, CPU)
    epochs, batch = cell.protocol["epochs"], cell.protocol["batch_size"]
    probabilities = out_of_sample(cell, data, sets, CPU, FOLDS, epochs, batch)
    given = data.noisy.labels[data.split.train]
    scores = get_label_quality_scores(
        given, probabilities.astype(np.float64), method="self_confidence"
    )
    truth = data.noisy.truth[data.split.train]
    frame = pd.DataFrame({"score": 1 - scores, "truth": truth, "wrong": given != truth})
    return _rounded(quality(frame.sort_values("score", ascending=False, kind="stable")))


def _rounded(found: dict[str, float]) -> dict[str, str]:
    return {name: f"{found[name]:.4f}" for name in NUMBERS}


def _read(path: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {(r["setting"], r["seed"], r["list"]): r for r in csv.DictReader(file)}


def _written(path: Path, rows: dict, row: dict[str, Any]) -> dict:
    """The rows with one more, as written to the file."""
    texts = {name: str(row[name]) for name in COLUMNS}
    rows = rows | {(texts["setting"], texts["seed"], texts["list"]): texts}
    lines = [",".join(COLUMNS)]
    lines += [",".join(rows[key][name] for name in COLUMNS) for key in sorted(rows)]
    write_text(path, "\n".join(lines) + "\n")
    print(", ".join(texts.values()), flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parser().parse_args())))
