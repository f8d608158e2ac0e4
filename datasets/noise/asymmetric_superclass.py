"""Class-dependent noise inside superclasses, as it was meant, and as it was published."""

from __future__ import annotations

from typing import Literal

import numpy as np

from datasets.base import Dataset
from datasets.noise.base import ClassNoise, register


@register
class AsymmetricSuperclass(ClassNoise):
    """With probability `rate` a label becomes the next class of its own superclass, circularly.

    CIFAR-100: five classes in each of 20 superclasses, in the order of their indices.
    """

    name: Literal["asymmetric_superclass"] = "asymmetric_superclass"

    def targets(self, dataset: Dataset) -> np.ndarray:
        """As in the base class.

        Raises:
            ValueError: the data set has no superclasses.
        """
        superclasses = np.array(getattr(dataset, "superclasses", ()))
        if not len(superclasses):
            raise ValueError(f"asymmetric_superclass: {dataset.name} has no superclasses")
        target = np.arange(dataset.classes)
        for number in np.unique(superclasses):
            members = np.flatnonzero(superclasses == number)
            target[members] = np.roll(members, -1)
        return np.eye(dataset.classes)[target]


@register
class AsymmetricBlocks(ClassNoise):
    """With probability `rate` a label becomes the next one of its five consecutive indices.

    What Patrini et al. (2017), ELR, APL and others ran on CIFAR-100 as noise "within superclasses":
    indices are alphabetical, so that no block is a superclass and of 100 successors 6 lie in the
    superclass of their class. For comparison with their numbers.
    """

    name: Literal["asymmetric_blocks"] = "asymmetric_blocks"

    def targets(self, dataset: Dataset) -> np.ndarray:
        """As in the base class.

        Raises:
            ValueError: the classes do not come in fives.
        """
        if dataset.classes % 5:
            raise ValueError(f"asymmetric_blocks: {dataset.name} has no blocks of five classes")
        index = np.arange(dataset.classes)
        return np.eye(dataset.classes)[5 * (index // 5) + (index + 1) % 5]
