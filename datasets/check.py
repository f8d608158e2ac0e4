"""Says what is wrong with a person's copy of a data set, before anything is run or packed.

python datasets/check.py NAME [--data DIR] [--images N]

Of large data sets the lists are compared with what is published, missing files are counted, some
images are opened, and packed files beside the copy are read through. Exit code 1 if anything is
wrong that a run would stumble on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np

import datasets
from datasets.base import DataError, Dataset
from datasets.check_arrays import checked
from datasets.listed import ListedDataset
from datasets.listing import Part
from datasets.packed import Packed

SHOWN = 5
"""Files that are named of those that are wrong in the same way."""
MOST_LOST = 0.001
"""Share of images that `prepare.py` does without."""


def names() -> list[str]:
    """Data sets with files of a known layout."""
    return [name for name in datasets.names() if name != "image_folder"]


def faults(dataset: Dataset, root: Path | None, opened: int) -> Iterator[str]:
    """Looks at a copy, prints what it finds, and yields a sentence for each thing that is wrong.

    Args:
        opened: images of each part that are opened, of large data sets.
    """
    try:
        if isinstance(dataset, ListedDataset):
            yield from _of_copy(dataset, root, opened)
        else:
            dataset.check(root)
            arrays = checked(dataset.load(root), dataset)
            sizes = len(arrays.train_labels), len(arrays.test_labels)
            print("{:,} training and {:,} test images, as they should be".format(*sizes))
    except DataError as error:
        yield str(error)


def _of_copy(dataset: ListedDataset, root: Path | None, opened: int) -> Iterator[str]:
    listing = dataset.listing(root)
    for note in listing.notes:
        print(f"note: {note}")
    for name, part in listing.parts.items():
        counts = np.bincount(part.labels, minlength=dataset.classes)
        verified = int((part.verified >= 0).sum())
        looked = f", {verified:,} looked at by people" if verified else ""
        print(f"{name}: {len(part):,} images, {counts.min():,} to {counts.max():,} a class{looked}")
        if not counts.all():
            empty = dataset.class_names[int(counts.argmin())]
            yield f"{name}: no image is of class {empty}"
        yield from _of_files(name, part, opened)
    for place in sorted(dataset.find(root).glob(f"{dataset.name}-*.packed")):
        packed = Packed(place)
        packed.verify()
        counts = ", ".join(f"{count:,} {name}" for name, count in packed.meta["parts"])
        print(f"{place}: intact, {counts}")


def _of_files(name: str, part: Part, opened: int) -> Iterator[str]:
    missing = set(part.missing())
    if missing:
        text = f"{name}: {len(missing):,} files are missing, such as {_some(sorted(missing))}"
        if len(missing) > MOST_LOST * len(part):
            yield text
        else:
            print(f"note: {text}")
    from datasets.folder.decode import BROKEN, square  # Pillow: wrong names can do without

    there = [path for path in part.paths if path not in missing]
    chosen = np.random.default_rng(0).permutation(len(there))[:opened]
    broken = []
    for path in (there[k] for k in chosen):
        try:
            square((part.folder / path).read_bytes(), 64, 3, "crop")
        except BROKEN as error:
            broken.append(f"{path} ({' '.join(str(error).split())[:80]})")
    print(f"{name}: {len(chosen):,} images opened, {len(broken)} unreadable")
    if broken:
        yield f"{name}: unreadable images, such as {_some(broken)}"


def _some(items: list[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", metavar="NAME", choices=names(), help=", ".join(names()))
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA_ROOT"), metavar="DIR",
                        help="data root; default: DATA_ROOT, else data/")  # fmt: skip
    parser.add_argument("--images", type=int, default=500, metavar="N",
                        help="images of each part that are opened (default 500)")  # fmt: skip
    options = parser.parse_args(arguments)
    wrong = list(faults(datasets.get(options.name), options.data, options.images))
    for sentence in wrong:
        print(f"wrong: {sentence}", file=sys.stderr)
    if not wrong:
        print(f"{options.name} is as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
