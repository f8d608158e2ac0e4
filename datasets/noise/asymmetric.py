"""Asymmetric label noise: classes mistaken for one that looks alike."""

from __future__ import annotations

from typing import Literal

import numpy as np

from datasets.base import Dataset
from datasets.noise.base import ClassNoise, register


@register
class Asymmetric(ClassNoise):
    """With probability `rate` a label becomes the class that its own is mistaken for.

    Patrini et al. (2017) for MNIST and CIFAR-10, Zhang and Sabuncu (2018) for Fashion-MNIST; the
    map is the data set's `asymmetric_map`, and classes outside it keep all their labels. `rate`
    is per affected class: with five of ten classes affected, 0.4 leaves 20 % of all labels wrong.
    """

    name: Literal["asymmetric"] = "asymmetric"

    def targets(self, dataset: Dataset) -> np.ndarray:
        """As in the base class.

        Raises:
            ValueError: the data set has no asymmetric map.
        """
        if not dataset.asymmetric_map:
            raise ValueError(
                f"asymmetric noise is not defined for {dataset.name}: the data set names no class "
                "that another is mistaken for (asymmetric_map); class_map takes a map of your own, "
                "and CIFAR-100 has asymmetric_superclass and asymmetric_blocks"
            )
        target = np.arange(dataset.classes)
        target[list(dataset.asymmetric_map)] = list(dataset.asymmetric_map.values())
        return np.eye(dataset.classes)[target]
