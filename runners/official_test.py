"""Judges a finished study on the official test images that its embedded data set leaves out.

    python runners/official_test.py results/default [--out results/reference/default]

For studies on `fashion_mnist_mini`: its 3,000 test images are the first of each class, the other
7,000 of Fashion-MNIST (Debian's package `dataset-fashion-mnist`, or `--data DIR`) have been looked
at by nobody. Networks that the run has kept (`run.keep_weights: true`) are taken, the others are
trained again; either way they must have the record's `final_weights_sha256`. Writes
`official_test.csv`: accuracy of each cell after its last epoch on both parts.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch

import datasets
from analysis import studies
from datasets.base import Dataset
from datasets.fashion_mnist_mini import FashionMnistMini
from methods.base import Method
from runners.cell import build, trainer
from runners.cell.batches import ImageSet
from runners.cell.evaluation import outputs
from runners.cell.record import weights_sha256
from runners.commands.arguments import guarded
from runners.results.store import CellFolder
from runners.study.cell import Cell
from runners.system.console import counted
from runners.system.errors import UserError
from runners.system.files import write_text

CPU = torch.device("cpu")
COLUMNS = ("method", "display", "noise", "seed", "mini", "official", "final_weights_sha256")


def remaining_images(mini: FashionMnistMini, root: Path | None) -> ImageSet:
    """The official test images that are not in the mini set, in the official order."""
    full = datasets.get("fashion_mnist").load(root)
    _, used = mini.original_index()
    rest = np.setdiff1d(np.arange(len(full.test_labels)), used)
    images, labels = full.test_images[rest], full.test_labels[rest]
    return ImageSet.build(images, labels, mini.mean, mini.std, CPU)


def final_method(cell: Cell, folder: CellFolder, wanted: str) -> Method:
    """The method of a cell as it was after its last epoch.

    Raises:
        UserError: its network is not the record's, bit for bit.
    """
    build.set_arithmetic(cell.protocol, CPU)
    data = build.load_data(cell, None)
    sets = build.build_sets(cell, data, CPU)
    method = build.build_method(cell, data, sets, CPU)
    if folder.network.is_file():
        method.network.load_state_dict(torch.load(folder.network, weights_only=True))
    else:
        streams = build.epoch_streams(cell)
        trainer.fit(method, sets, cell.protocol, **streams, on_epoch=lambda entry: None)
    if weights_sha256(method.network) != wanted:
        raise UserError(
            f"{cell.name}: other weights than the record's: bits are the same on the processor, "
            "torch and code of the study only"
        )
    return method


def judge(planned: dict[str, Any], record: dict[str, Any], folder: Path, rest: ImageSet) -> dict:
    """One row of the table.

    Raises:
        UserError: the weights, or the accuracy on the mini set, are not those of the record.
    """
    named = {"dataset_config": planned["dataset"], "tuned_under": None, "tuned_at": ""}
    wanted = {name for name in Cell.__dataclass_fields__ if name not in named}
    cell = Cell(**{k: v for k, v in planned.items() if k in wanted}, **named)
    method = final_method(cell, CellFolder(folder), record["final_weights_sha256"])
    accuracy = float((outputs(method, rest).predicted == rest.labels).double().mean())
    return {
        "method": cell.label,
        "display": cell.display,
        "noise": cell.noise_slug,
        "seed": cell.seed,
        "mini": f"{record['accuracy']['last']['test']:.6f}",
        "official": f"{accuracy:.6f}",
        "final_weights_sha256": record["final_weights_sha256"],
    }


def run(options: argparse.Namespace) -> int:
    study = studies.load(options.study)
    mini: Dataset = datasets.get(FashionMnistMini.name)
    if {cell["dataset"] for cell in study.cells} != {mini.name}:
        raise UserError(f"{options.study}: must be a study on {mini.name} and nothing else")
    torch.set_num_threads(1)  # as in a worker
    rest = remaining_images(mini, options.data)
    rows = []
    for planned in study.cells:
        if record := study.records.get(planned["key"]):
            rows.append(judge(planned, record, study.sources[planned["key"]], rest))
            print(json.dumps({k: rows[-1][k] for k in COLUMNS[:-1]}), flush=True)
    if not rows:
        raise UserError(f"{options.study}: has no finished cell")
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = write_text((options.out or options.study) / "official_test.csv", text.getvalue())
    print(f"{len(rows)} of {counted(len(study.cells), 'cell')}, {len(rest):,} images: {path}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", type=Path, metavar="STUDY_DIR", help="a study, as run or packed")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data root with Fashion-MNIST")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: STUDY_DIR")
    options = parser.parse_args()
    return guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
