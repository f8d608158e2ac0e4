"""A folder of badly labelled images to try `docs/own_data.md` with, and the person who reviews it.

python examples/my_images.py make FOLDER             2,000 PNGs of Fashion-MNIST, a fifth wrong
python examples/my_images.py review FOLDER LIST N    the first N rows of suspects.csv, as a person

`make` writes FOLDER and, beside it, FOLDER.csv with the true class of each image, which no study
reads. `review` writes the true class of the first N rows into the column `label`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

import numpy as np
from PIL import Image

import datasets

PER_CLASS = 200
WRONG = 0.2


def make(folder: Path) -> None:
    """Writes the images into folders of their given classes, and the list of true ones."""
    data = datasets.get("fashion_mnist_mini")
    arrays, rng = data.load(None), np.random.default_rng(0)
    names = [name.replace("/", " or ") for name in data.class_names]
    rows = []
    for true, name in enumerate(names):
        for number in np.flatnonzero(arrays.train_labels == true)[:PER_CLASS]:
            wrong = rng.random() < WRONG
            given = (true + rng.integers(1, len(names))) % len(names) if wrong else true
            path = Path(names[given], f"{len(rows):04}.png")
            (folder / path.parent).mkdir(parents=True, exist_ok=True)
            Image.fromarray(arrays.train_images[number, 0]).save(folder / path)
            rows.append((path.as_posix(), name))
    with folder.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "clean_label"), *rows])
    print(f"{len(rows):,} images in {folder}, their true classes in {folder.with_suffix('.csv')}")


def review(folder: Path, suspects: Path, count: int) -> None:
    """Writes true classes into the first rows of a list."""
    with folder.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        truth = {row["path"]: row["clean_label"] for row in csv.DictReader(file)}
    with suspects.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:count]:
        row["label"] = truth[row["path"]]
    changed = sum(row["label"] not in ("", row["given"]) for row in rows)
    with suspects.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{count} rows reviewed, {changed} labels changed")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder]:
            make(Path(folder))
        case ["review", folder, suspects, count]:
            review(Path(folder), Path(suspects), int(count))
        case _:
            sys.exit(__doc__)
