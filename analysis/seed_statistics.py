"""What a table says of several seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Mean and spread of the seeds that have a value, in the unit of the values.

    Attributes:
        mean: arithmetic mean; nan where n is 0.
        sd: sample standard deviation (divisor n - 1); nan where n is below 2.
        n: number of values.
    """

    mean: float
    sd: float
    n: int


def summary(values: Iterable[float]) -> Summary:
    """Mean, sample standard deviation and count of the finite values; nan stands for missing."""
    array = np.asarray(list(values), dtype=np.float64)
    array = array[np.isfinite(array)]
    mean = float(array.mean()) if array.size else math.nan
    sd = float(array.std(ddof=1)) if array.size > 1 else math.nan
    return Summary(mean, sd, int(array.size))
