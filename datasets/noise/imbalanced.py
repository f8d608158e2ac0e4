"""Fewer images of some classes, over any noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field

import datasets.noise
from datasets.base import Dataset
from datasets.noise.base import Corruption, NoiseModel, register
from datasets.paths import path_fields


def _is_noise(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("name") not in datasets.noise.names() or value["name"] == "imbalanced":
        raise ValueError("must be a noise entry with its name")
    model = datasets.noise.of(value)  # pydantic names what is wrong with its parameters
    dumped = model.model_dump(mode="json")
    # A path would get into the key of the cell, and be relative to wherever one types.
    if named := [key for key in path_fields(type(model)) if dumped[key] is not None]:
        raise ValueError(f"must be a noise without a file of its own ({named[0]})")
    return dumped


@register
class Imbalanced(NoiseModel):
    """Training images of some classes are left out, and `noise` corrupts the labels.

    `exponential` (Cui et al., CVPR 2019): of class c of C, a share factor^(c / (C - 1)) stays;
    `step` (Buda et al. 2018): of the second half of the classes a share `factor` stays. Which
    images, is random. No part of the split has an image that was left out. `noise` draws for the
    whole training part: what is exact in it, such as a number of wrong labels, is exact of the
    whole, not of what stays.
    """

    name: Literal["imbalanced"] = "imbalanced"
    type: Literal["exponential", "step"] = "exponential"
    factor: float = Field(ge=0.001, le=1, description="Share of the smallest class that stays.")
    noise: Annotated[dict[str, Any], AfterValidator(_is_noise)] = Field(
        {"name": "clean"}, description="The noise over it, an entry with its name."
    )

    @property
    def needs(self) -> tuple[str, ...]:
        return self._inner.needs

    @property
    def nominal_rate(self) -> float | None:
        return self._inner.nominal_rate

    @property
    def slug(self) -> str:
        return f"{self.type}-{self.factor:g}-{self._inner.slug}"

    @property
    def display(self) -> str:
        return f"{self._inner.display}, {self.type} {self.factor:g}"

    @property
    def _inner(self) -> NoiseModel:
        return datasets.noise.of(self.noise)

    def transition_matrix(self, dataset: Dataset) -> np.ndarray | None:
        return self._inner.transition_matrix(dataset)

    def stamp(self, root: Path | None) -> str:
        return self._inner.stamp(root)

    def check(self, dataset: Dataset, root: Path | None) -> None:
        self._inner.check(dataset, root)

    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        **inputs: np.ndarray,
    ) -> Corruption:
        left_out = np.ones(len(labels), bool)
        for number, share in enumerate(self._shares(dataset.classes)):
            members = np.flatnonzero(labels == number)
            stay = _staying(share, len(members))
            left_out[rng.permutation(members)[:stay]] = False
        drawn = self._inner.corrupt(labels, dataset, rng, **inputs)
        drawn = drawn if isinstance(drawn, Corruption) else Corruption(drawn)
        facts: Mapping[str, float] = drawn.facts
        return Corruption(drawn.labels, drawn.images, drawn.no_true_class, left_out, facts)

    def counts_left(self, counts: Sequence[int]) -> tuple[int, ...]:
        """How many images of each class stay, of so many."""
        pairs = zip(self._shares(len(counts)), counts, strict=True)
        return tuple(min(count, _staying(share, count)) for share, count in pairs)

    def _shares(self, classes: int) -> np.ndarray:
        """Share of each class that stays: float64 (C,)."""
        if self.type == "step":
            return np.where(np.arange(classes) < classes / 2, 1.0, self.factor)
        return self.factor ** (np.arange(classes) / max(1, classes - 1))


def _staying(share: float, count: int) -> int:
    return max(1, round(share * count))
