"""Labels as they came with the images: nothing is added."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from datasets.base import Dataset
from datasets.noise.base import NoiseModel, Rate, checked_labels, register


class GivenLabels(NoiseModel):
    """Labels that are simply there; who knows how many are wrong says so (`rate`)."""

    needs = ("given",)
    needs_truth: ClassVar[bool] = False
    random: ClassVar[bool] = False

    rate: Rate | None = Field(
        None, description="Share of wrong labels as far as a person can say; null: unknown."
    )

    @property
    def nominal_rate(self) -> float | None:
        return self.rate

    def _parameters(self) -> list[str]:
        return [] if self.rate is None else [f"stated {self.rate}"]


@register
class Given(GivenLabels):
    """Labels as the data set gives them, right or wrong (of most data sets the true ones)."""

    name: Literal["given"] = "given"

    def corrupt(
        self, labels: np.ndarray, dataset: Dataset, rng: np.random.Generator, given: np.ndarray
    ) -> np.ndarray:
        return checked_labels(given, dataset)
