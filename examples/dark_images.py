"""A noise model from outside that looks at the images and has no transition matrix.

In a study: `{name: examples.dark_images:DarkImages, rate: 0.3, foreign: 0.1}`. Dark images get a
wrong label more often than bright ones, and a share of the images is replaced by ones that belong
to none of the classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from datasets.base import Dataset
from datasets.noise.base import Corruption, NoiseModel, Rate


class DarkImages(NoiseModel):
    """Labels flip with a probability that falls with the brightness of the image."""

    needs = ("images",)

    name: Literal["dark_images"] = "dark_images"
    rate: Rate
    """Mean probability that a label is replaced by one of the other classes."""
    foreign: Rate = 0.0
    """Share of the images that are replaced by images of none of the classes."""

    @property
    def nominal_rate(self) -> float:
        return self.rate

    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        images: np.ndarray,
    ) -> Corruption:
        count = len(labels)
        order = images.reshape(count, -1).mean(1, dtype=np.float64).argsort().argsort()
        # From 2 * rate for the darkest image down to 0; 1 at most.
        chance = np.minimum(1.0, 2 * self.rate * (1 - (order + 0.5) / count))
        flipped = rng.random(count) < chance
        others = (labels + rng.integers(1, dataset.classes, count)) % dataset.classes
        foreign = rng.random(count) < self.foreign
        replaced = np.where(foreign[:, None, None, None], images[..., ::-1, ::-1] // 2, images)
        return Corruption(np.where(flipped, others, labels), replaced, foreign)
