"""Class-dependent noise by a transition matrix of one's own."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from datasets.base import DataError, Dataset, read_bytes
from datasets.noise.base import NoiseModel, checked_labels, draw, register
from datasets.paths import OnDisk


@register
class Matrix(NoiseModel):
    """Each label is drawn from the row of its class: `rows` in the study, or of a `file`.

    The file is a CSV of numbers without a head, or `.npy`; rows are true classes and sum to 1.
    """

    name: Literal["matrix"] = "matrix"
    rows: list[list[float]] | None = Field(None, description="The matrix, rows are true classes.")
    file: OnDisk | None = Field(None, description="File of the matrix, in place of rows.")

    @model_validator(mode="after")
    def _is_one_matrix(self) -> Matrix:
        if (self.rows is None) == (self.file is None):
            raise ValueError("matrix: must have rows or a file, and not both")
        if self.rows is not None and len({len(row) for row in self.rows}) != 1:
            raise ValueError("matrix: rows must be one or more, and have the same length")
        return self

    @property
    def nominal_rate(self) -> float:
        """Mean over the classes of the probability of another label."""
        matrix = self._matrix()
        return float(1 - np.diagonal(matrix).mean()) if len(matrix) else 0.0

    @property
    def slug(self) -> str:
        rows = np.array(self._matrix()).tobytes()
        return f"matrix-{hashlib.sha256(rows).hexdigest()[:8]}"

    @property
    def display(self) -> str:
        return f"Matrix {self.nominal_rate:.2g}"

    def stamp(self, root: Path | None) -> str:
        return hashlib.sha256(read_bytes(Path(self.file))).hexdigest() if self.file else ""

    def transition_matrix(self, dataset: Dataset) -> np.ndarray:
        """As in the base class.

        Raises:
            ValueError: it does not fit the data set's classes, or is no transition matrix.
        """
        try:
            matrix = self._matrix()
        except (DataError, ValueError) as error:
            raise ValueError(f"matrix: {error}") from error
        count = dataset.classes
        if matrix.shape != (count, count):
            shape = " x ".join(map(str, matrix.shape)) or "one number"
            raise ValueError(f"matrix is {shape}: must be {count} x {count} for {dataset.name}")
        if not np.isfinite(matrix).all() or matrix.min() < 0:
            raise ValueError("matrix has a value below 0 or none: must be probabilities")
        sums = matrix.sum(1)
        if np.abs(sums - 1).max() > 1e-6:
            row = int(np.abs(sums - 1).argmax())
            raise ValueError(f"matrix: row {row} sums to {sums[row]:g}: must sum to 1")
        return matrix

    def corrupt(self, labels: np.ndarray, dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
        matrix = self.transition_matrix(dataset)
        return draw(checked_labels(labels, dataset), matrix, rng)

    def _matrix(self) -> np.ndarray:
        if self.rows is not None:
            return np.array(self.rows, dtype=np.float64)
        content = read_bytes(Path(self.file))
        try:
            if not content.strip():
                raise ValueError("it is empty")
            if self.file.endswith(".npy"):
                return np.load(io.BytesIO(content), allow_pickle=False).astype(np.float64)
            return np.loadtxt(io.StringIO(content.decode()), delimiter=",", ndmin=2)
        except (ValueError, TypeError, EOFError) as error:
            said = " ".join(str(error).split())
            raise ValueError(f"{self.file} is no table of numbers ({said})") from error
