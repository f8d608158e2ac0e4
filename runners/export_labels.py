"""Writes a study's noisy labels and splits as CSV: `python runners/export_labels.py STUDY`.

One file for each data set, noise and seed, which all methods share: `index` (position in the
official training part), `true` (empty for a sample of none of the classes or of an unknown one),
`noisy`, `split` (train, noisy_val, clean_subset, clean_val, dev or left_out) and, of a person's own
images, `path`. They are the labels and splits of the cells, drawn and stored by the same code.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np

from datasets.base import DataError
from runners.commands.arguments import study_parser
from runners.commands.request import data_root
from runners.results.store import StudyFolder
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells, select
from runners.system.errors import ConfigError, UserError
from runners.system.files import write_atomically

if TYPE_CHECKING:
    from runners.cell.build import Data


def parser() -> argparse.ArgumentParser:
    """The command line: a study as for `run_grid.py`, and where the files go."""
    command = study_parser("export_labels.py", __doc__.splitlines()[0])
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="default: labels/ in the study's results"
    )
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code (0 done, 2 user error)."""
    try:
        return export(parser().parse_args(arguments))
    except (ConfigError, DataError, UserError) as error:
        for problem in getattr(error, "problems", [str(error)]):
            print(problem, file=sys.stderr)
    except OSError as error:
        where = f"{error.filename or 'a file'} cannot be written: {error.strerror}"
        allowed = "must be folders that you may write to"
        print(f"export_labels.py: {where}; --results and --out {allowed}", file=sys.stderr)
    return 2


def export(options: argparse.Namespace) -> int:
    """Writes the files of the study that the command line names.

    Raises:
        ConfigError, DataError, UserError, OSError: something that the user can mend.
    """
    if options.study is None:
        raise UserError("export_labels.py: no study given: must be a YAML file")
    study = load_study(options.study, options.overrides)
    chosen = one_cell_a_file(select(cells(study), options.only))
    root = data_root(options.data, study)
    for dataset in dict.fromkeys(cell.data_set for cell in chosen):
        dataset.check(root)
    folder = StudyFolder(options.results.resolve(), study.name)
    out = options.out or folder.path / "labels"
    for needed in (folder.noise, out):
        needed.mkdir(parents=True, exist_ok=True)

    from runners.cell.build import load_data  # brings torch, which mistakes above need not wait for
    from runners.cell.label_files import store_labels

    for cell in chosen:
        try:
            data = load_data(cell, root)
        except ValueError as error:  # noise or split that this data set cannot have
            raise UserError(f"{file_name(cell)}: {error}") from error
        store_labels(folder.noise, cell, data.noisy)
        content = as_csv(data).encode()
        write_atomically(out / file_name(cell), lambda file, content=content: file.write(content))
        rate = data.noisy.rate
        print(f"{file_name(cell)}: {'unknown' if rate is None else f'{rate:.2%}'} of labels wrong")
    print(f"wrote {len(chosen)} files of labels to {out}")
    return 0


def one_cell_a_file(grid: Sequence[Cell]) -> list[Cell]:
    """The first cell of every (data set, noise, seed); its methods share labels and split."""
    first: dict[tuple[str, str, int], Cell] = {}
    for cell in grid:
        first.setdefault((cell.dataset, cell.noise_slug, cell.seed), cell)
    return list(first.values())


def file_name(cell: Cell) -> str:
    """For example `fashion_mnist_mini__symmetric-0.4__s0.csv`."""
    return f"{cell.dataset}__{cell.noise_slug}__s{cell.seed}.csv"


def as_csv(data: Data) -> str:
    """One row for every image of the training part, in the official order."""
    part_of = np.full(len(data.noisy.labels), "left_out", dtype=object)
    for name, positions in data.split.of_training.items():
        part_of[positions] = name
    noisy = data.noisy.labels.tolist()
    true = ["" if label < 0 else label for label in data.noisy.truth.tolist()]
    columns = {"index": range(len(noisy)), "true": true, "noisy": noisy, "split": part_of}
    if "path" in data.arrays.train_inputs:
        columns["path"] = data.arrays.train_inputs["path"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
