"""A folder of images as a person may have it: simulated pictures, some with a wrong label."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import datasets
from datasets.base import Dataset
from runners.results.provenance import ROOT

NAMES = ("1", "2", "10", "grün")
"""Of the classes, in the order that the suite must give them."""
STUDY = """
study: mine
axes:
  dataset: [{name: image_folder, path: my_images}]
  noise: [given]
  method: [cross_entropy, co_teaching]
  seed: 2
protocol: {epochs: 6}
run: {keep_weights: true, device: cpu}
"""
"""A study of such a folder, `my_images` beside its file."""


def write_images(root: Path, per_class: int = 30, wrong: float = 0.2, seed: int = 0) -> np.ndarray:
    """Writes `root/<given class>/<number>.png`; returns true classes by number, int64 (N,)."""
    arrays = datasets.get("simulated").load(None)
    rng = np.random.default_rng(seed)
    chosen = np.concatenate(
        [np.flatnonzero(arrays.train_labels == k)[:per_class] for k in range(4)]
    )
    truth = arrays.train_labels[chosen]
    flipped = rng.random(len(truth)) < wrong
    given = np.where(flipped, (truth + rng.integers(1, 4, len(truth))) % 4, truth)
    for number, (position, label) in enumerate(zip(chosen, given, strict=True)):
        folder = root / NAMES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(arrays.train_images[position, 0]).save(folder / f"{number:03}.png")
    return truth


def number_of(path: str) -> int:
    """The number of a picture that `write_images` wrote."""
    return int(Path(path).stem)


def write_list(path: Path, rows: list[dict[str, str]]) -> Path:
    """A CSV of these rows."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(columns), *(",".join(row.get(c, "") for c in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def own(path: Path, **parameters: Any) -> Dataset:
    """The data set of a folder or list, as it is now."""
    datasets.forget()
    return datasets.get("image_folder", {"path": str(path), **parameters})


def listed(folder, truth=None, **more):
    """Rows of a list beside the folder; `truth` names the true class of each number."""
    rows = []
    for path in sorted(folder.rglob("*.png")):
        name = path.relative_to(folder.parent).as_posix()
        row = {"path": name, "label": path.parent.name}
        if truth is not None:
            row["clean_label"] = NAMES[truth[number_of(name)]]
        rows.append(row | {key: value(name) for key, value in more.items()})
    return rows


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a script of the repository."""
    command = [sys.executable, str(ROOT / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
