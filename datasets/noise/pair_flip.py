"""Pair-flip label noise: every class is mistaken for the next one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from datasets.base import Dataset
from datasets.noise.base import ClassNoise, register


@register
class PairFlip(ClassNoise):
    """With probability `rate` label i becomes i + 1 mod C, for every class.

    Co-teaching (Han et al. 2018), where 0.45 is the standard hard case. Above 0.5 the wrong label
    is the more frequent one, and no method can be right without clean data.
    """

    name: Literal["pair_flip"] = "pair_flip"

    def targets(self, dataset: Dataset) -> np.ndarray:
        return np.roll(np.eye(dataset.classes), 1, axis=1)
