"""Tiny images that are made, not read: for tests and for trying things in seconds."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import numpy as np

from datasets.base import Arrays, Dataset, register

_SEED = 20210528
_TRAIN_PER_CLASS = 128
_TEST_PER_CLASS = 64


@register
class Simulated(Dataset):
    """A bright square on a noisy ground; the class is the corner that it is in.

    Easy on purpose (a small CNN passes 90 % within a few epochs), the same on every machine: made
    from uniform doubles of PCG64 alone, whose stream NumPy keeps. Never a result in a paper.
    """

    name = "simulated"
    display = "Simulated"
    class_names = ("upper left", "upper right", "lower left", "lower right")
    channels = 1
    size = 8
    n_train = 4 * _TRAIN_PER_CLASS
    n_test = 4 * _TEST_PER_CLASS
    mean = (0.304,)
    std = (0.196,)
    clean_subset = 8
    asymmetric_map = MappingProxyType({0: 1, 2: 3, 3: 2})
    class_counts = (_TRAIN_PER_CLASS,) * 4
    how_to_get = "it is made on the fly"

    def check(self, root: Path | None) -> None:
        """Nothing can be missing."""

    def load(self, root: Path | None) -> Arrays:
        """Makes the arrays; `root` is not used."""
        rng = np.random.Generator(np.random.PCG64(_SEED))
        return Arrays.of(*_draw(rng, _TRAIN_PER_CLASS), *_draw(rng, _TEST_PER_CLASS))


def _draw(rng: np.random.Generator, per_class: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (4 * per_class, 1, 8, 8) and labels int64, classes in turn."""
    labels = np.arange(4 * per_class) % 4
    ground = 0.5 * rng.random((len(labels), 8, 8))
    shift = np.floor(2 * rng.random((len(labels), 2))).astype(np.int64)
    strength = 0.25 + 0.25 * rng.random((len(labels), 1, 1))
    top = 4 * (labels // 2) + shift[:, 0]
    left = 4 * (labels % 2) + shift[:, 1]
    place = np.arange(8)
    rows = (place >= top[:, None]) & (place < top[:, None] + 3)
    columns = (place >= left[:, None]) & (place < left[:, None] + 3)
    pixels = ground + strength * (rows[:, :, None] & columns[:, None, :])
    return np.floor(255.999 * pixels).astype(np.uint8)[:, None], labels
