"""Counts what `human_counts.npz` ships: `python datasets/make_human_counts.py FOLDER`.

FOLDER holds CIFAR-10_human.pt and CIFAR-100_human.pt. Prints the rate of each set, and writes the
file into `datasets/embedded` (or `--out FILE`); the same bytes every time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

import numpy as np

from datasets.base import DataError
from datasets.cifar import Cifar10
from datasets.cifar100 import Cifar100, Cifar100Coarse
from datasets.human_labels import COUNTS


def count(folder: Path) -> dict[str, np.ndarray]:
    """Name of a set -> uint16 (C, C), rows are true classes.

    Raises:
        DataError: a file is missing or another one.
    """
    found = {}
    for dataset in (Cifar10, Cifar100, Cifar100Coarse):
        human, classes = dataset.human_labels, len(dataset.class_names)
        arrays = human.arrays(folder / human.file)
        true = np.asarray(arrays[human.clean], np.int64)
        for name, key in human.sets.items():
            pairs = true * classes + np.asarray(arrays[key], np.int64)
            table = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
            found[name] = table.astype(np.uint16)
    return found


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=COUNTS, metavar="FILE")
    options = parser.parse_args()
    try:
        found = count(options.folder)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    for name, table in found.items():
        wrong = int(table.sum()) - int(np.trace(table))
        print(
            f"{name}: {wrong:,} of {int(table.sum()):,} labels are wrong, {wrong / table.sum():.2%}"
        )
    np.savez_compressed(options.out, **found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
