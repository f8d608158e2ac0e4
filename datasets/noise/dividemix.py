"""The noise of DivideMix's code (Li et al., ICLR 2020, arXiv 2002.07394), as it is."""

from __future__ import annotations

from typing import Literal

import numpy as np

from datasets.base import Dataset
from datasets.noise.base import NoiseModel, Rate, checked_labels, register


@register
class DivideMix(NoiseModel):
    """Exactly int(rate * N) labels are touched, of all classes alike.

    `symmetric`: a touched label becomes any class, its own among them, so that rate * (1 - 1/C) of
    the labels are wrong. `asymmetric`: it becomes the class that its own is mistaken for, which for
    classes outside the map is itself: about half of `rate` on CIFAR-10.
    """

    name: Literal["dividemix"] = "dividemix"
    kind: Literal["symmetric", "asymmetric"] = "symmetric"
    rate: Rate

    @property
    def nominal_rate(self) -> float:
        return self.rate

    def transition_matrix(self, dataset: Dataset) -> np.ndarray:
        """As in the base class.

        Raises:
            ValueError: the data set has no asymmetric map.
        """
        return (1 - self.rate) * np.eye(dataset.classes) + self.rate * self._targets(dataset)

    def _targets(self, dataset: Dataset) -> np.ndarray:
        classes = dataset.classes
        if self.kind == "symmetric":
            return np.full((classes, classes), 1 / classes)
        if not dataset.asymmetric_map:
            raise ValueError(f"dividemix asymmetric: {dataset.name} has no map of classes")
        target = np.arange(classes)
        target[list(dataset.asymmetric_map)] = list(dataset.asymmetric_map.values())
        return np.eye(classes)[target]

    def corrupt(self, labels: np.ndarray, dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
        noisy = checked_labels(labels, dataset)
        touched = rng.permutation(len(noisy))[: int(self.rate * len(noisy))]
        if self.kind == "symmetric":
            noisy[touched] = rng.integers(0, dataset.classes, len(touched))
        else:
            noisy[touched] = self._targets(dataset).argmax(1)[noisy[touched]]
        return noisy
