"""Labels out of a file: published ones, exported ones, or those that a person has corrected."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from datasets.base import DataError, Dataset, read_bytes
from datasets.folder.rows import read_table
from datasets.noise import class_names
from datasets.noise.base import Corruption, register
from datasets.noise.given import GivenLabels
from datasets.paths import OnDisk


@register
class LabelsFile(GivenLabels):
    """Labels of a table with `index` (in the official order) or `path`, and `label` or `noisy`.

    `label` holds names of classes, or numbers from 0 unless a class is named by a number; `noisy`
    numbers from 0, as `export_labels.py` writes them. Of a reviewed `suspects.csv`, where `label`
    is empty `given` counts. Every training image must have its row; rows of other images are passed
    over and counted, an index that no image has is refused. All seeds have the same labels.
    """

    name: Literal["labels_file"] = "labels_file"
    file: OnDisk = Field(description="A .csv, .tsv or .parquet.")

    wants: ClassVar[tuple[str, ...]] = ("path",)

    def stamp(self, root: Path | None) -> str:
        """Of what the table says of labels: its order, and columns such as scores, may change."""
        read_bytes(Path(self.file))  # whose sentence is plainer where it is not there
        rows = read_table(Path(self.file), ())
        said = sorted(f"{row.get('path')!r} {row.get('index')!r} {_text(row)!r}" for row in rows)
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        given: np.ndarray,
        path: np.ndarray | None = None,
    ) -> Corruption:
        """As in the base class.

        Raises:
            DataError: the file is no such table, or does not fit the data set.
        """
        rows = read_table(Path(self.file), ())
        key, positions = self._positions(rows, len(labels), path)
        found: dict[int, int] = {}
        passed_over = 0
        for number, row in enumerate(rows, start=2):
            position = positions.get(row[key].strip())
            if position is None:
                self._check_other(key, row, number, len(labels), dataset)
                passed_over += 1
            elif position in found:
                raise DataError(f"{self._line(number)}: {key} {row[key]} is there twice")
            else:
                found[position] = self._class(row, number, dataset)
        if missing := [p for p in range(len(labels)) if p not in found]:
            names = {position: name for name, position in positions.items()}
            raise DataError(
                f"{self.file} has no row for {len(missing):,} of {len(labels):,} training images "
                f"of {dataset.name}, the first is {key} {names[missing[0]]}: must have all of them"
            )
        values = np.array([found[p] for p in range(len(labels))], np.int64)
        return Corruption(values, facts={"rows_passed_over": passed_over})

    def _check_other(
        self, key: str, row: Mapping[str, str], number: int, count: int, dataset: Dataset
    ) -> None:
        """Refuses an index that no image has; those of test images follow the training part's."""
        text = row[key].strip()
        end = None if dataset.n_test is None else count + dataset.n_test
        is_number = text.isascii() and text.isdecimal()
        if key == "index" and not (is_number and (end is None or int(text) < end)):
            allowed = f"from 0 to {count - 1} for training images"
            beyond = "" if end is None else f", to {end - 1} for those of the test part"
            raise DataError(
                f"{self._line(number)}: index {row[key]!r} is that of no image of {dataset.name}: "
                f"must be a whole number {allowed}{beyond}"
            )

    def _line(self, number: int) -> str:
        return f"{self.file}, line {number}"

    def _positions(
        self, rows: list[Mapping[str, str]], count: int, path: np.ndarray | None
    ) -> tuple[str, dict[str, int]]:
        """The column that names images, and its text -> position in the training part."""
        columns = list(rows[0]) if rows else []
        if "label" not in columns and "noisy" not in columns:
            raise DataError(f"{self.file} has no column label or noisy: it has {columns}")
        if "path" in columns and path is not None:
            return "path", {name: k for k, name in enumerate(path.tolist())}
        if "index" not in columns:
            raise DataError(f"{self.file} has no column index: it has {', '.join(columns)}")
        return "index", {str(k): k for k in range(count)}

    def _class(self, row: Mapping[str, str], number: int, dataset: Dataset) -> int:
        named = "label" in row
        text = _text(row)
        found = class_names.by_name(dataset) if named else class_names.positions(dataset)
        if text not in found:
            numbers = f"a number from 0 to {dataset.classes - 1}"
            raise DataError(
                f"{self._line(number)}: {'label' if named else 'noisy'} {text!r} is no class of "
                f"{dataset.name}: must be {class_names.allowed(dataset) if named else numbers}"
            )
        return found[text]


def _text(row: Mapping[str, str]) -> str:
    """What a row says of its label."""
    if "label" not in row:
        return row.get("noisy", "").strip()
    return row["label"].strip() or row.get("given", "").strip()
