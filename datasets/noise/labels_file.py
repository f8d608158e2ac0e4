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
from datasets.noise.base import Corruption, register
from datasets.noise.given import GivenLabels
from datasets.paths import OnDisk


@register
class LabelsFile(GivenLabels):
    """Labels of a table with `index` (in the official order) or `path`, and `label` or `noisy`.

    `label` holds names of classes or numbers from 0, `noisy` numbers, as `export_labels.py` writes
    them. Of a reviewed `suspects.csv`, where `label` is empty `given` counts. Every training image
    must have its row; rows of other images are passed over and counted. All seeds have the same
    labels.
    """

    name: Literal["labels_file"] = "labels_file"
    file: OnDisk = Field(description="A .csv, .tsv or .parquet.")

    wants: ClassVar[tuple[str, ...]] = ("path",)

    def stamp(self, root: Path | None) -> str:
        return hashlib.sha256(read_bytes(Path(self.file))).hexdigest()

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
        if "label" not in row:
            text, names = row["noisy"].strip(), {}
        else:
            text = row["label"].strip() or row.get("given", "").strip()
            names = {name: k for k, name in enumerate(dataset.class_names)}
        numbers = {str(k): k for k in range(dataset.classes)}
        if text not in names and text not in numbers:
            known = ", ".join(list(names)[:20] or ["a number"])
            raise DataError(
                f"{self._line(number)}: label {text!r} is no class of {dataset.name}: must be one "
                f"of {known}, or a number from 0 to {dataset.classes - 1}"
            )
        return names.get(text, numbers.get(text))
