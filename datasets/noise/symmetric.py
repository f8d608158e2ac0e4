"""Symmetric (uniform) label noise."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import StrictBool

from datasets.base import Dataset
from datasets.noise.base import ClassNoise, register


@register
class Symmetric(ClassNoise):
    """With probability `rate` a label becomes one of the other C - 1 classes, equally likely.

    The convention of Patrini et al. (2017), co-teaching (Han et al. 2018) and MetaLabelNet:
    the true class is excluded, so `rate` is the share of wrong labels.
    `include_true_class` draws from all C classes, as MW-Net (Shu et al. 2019), DivideMix (Li et
    al. 2020) and ELR do: then only rate * (1 - 1/C) of the labels are wrong, and published
    numbers for "the same" rate are on cleaner labels.
    """

    name: Literal["symmetric"] = "symmetric"
    include_true_class: StrictBool = False
    """Whether the true class is among the targets."""

    def targets(self, dataset: Dataset) -> np.ndarray:
        classes = dataset.classes
        if self.include_true_class:
            return np.full((classes, classes), 1 / classes)
        return (1 - np.eye(classes)) / (classes - 1)
