"""No noise: the reference every other setting is read against."""

from __future__ import annotations

from typing import Literal

import numpy as np

from datasets.base import Dataset
from datasets.noise.base import NoiseModel, checked_labels, register


@register
class Clean(NoiseModel):
    """Labels as the data set gives them (which for human-made sets is not free of errors)."""

    name: Literal["clean"] = "clean"

    @property
    def nominal_rate(self) -> float:
        return 0.0

    def transition_matrix(self, dataset: Dataset) -> np.ndarray:
        return np.eye(dataset.classes)

    def corrupt(self, labels: np.ndarray, dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
        return checked_labels(labels, dataset)
