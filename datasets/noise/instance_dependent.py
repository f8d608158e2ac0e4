"""Instance-dependent noise by parts of images (Xia et al., NeurIPS 2020, arXiv 2006.07836).

Each image has a flip rate of its own and, by a random linear map of its pixels, its own
distribution of wrong classes. Consulted: xiaoboxia/Part-dependent-label-noise, UCSC-REAL/cores.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from scipy.stats import truncnorm

from datasets.base import Dataset
from datasets.noise.base import NoiseModel, Rate, checked_labels, register

RATE_STD = 0.1
"""Of the images' flip rates around the nominal one, before they are cut off at 0 and 1."""
CHUNK = 4_096
"""Images that are looked at together: their pixels in float64 stay below 100 MB at 3x32x32."""


@register
class InstanceDependent(NoiseModel):
    """The flip rate q of an image is normal around `rate` (sd 0.1), cut off at 0 and 1.

    Its label becomes one of the other classes by softmax(x W), times q. `weights: per_class` draws
    a W (standard normal) for each true class, as the paper's code, `shared` one for all, as CORES
    and CIFAR-N do. `scaling: pixels` takes x as pixels from 0 to 255, as the published codes do:
    then the softmax is nearly always 1 for one class, so that an image has one fixed wrong label.
    `normalised` (the default, a deviation) standardises each pixel over the training part and
    divides by the root of their number, so that x W is about standard normal and the wrong classes
    of an image differ in probability as softmax of such numbers does.
    """

    name: Literal["instance_dependent"] = "instance_dependent"
    needs: ClassVar[tuple[str, ...]] = ("images",)

    rate: Rate
    weights: Literal["per_class", "shared"] = "per_class"
    scaling: Literal["normalised", "pixels"] = "normalised"

    @property
    def nominal_rate(self) -> float:
        return self.rate

    def corrupt(
        self, labels: np.ndarray, dataset: Dataset, rng: np.random.Generator, images: np.ndarray
    ) -> np.ndarray:
        labels = checked_labels(labels, dataset)
        classes = dataset.classes
        flip_rates = _flip_rates(self.rate, len(labels), rng)
        maps = classes if self.weights == "per_class" else 1
        weights = rng.standard_normal((maps, int(np.prod(images.shape[1:])), classes))
        uniform = rng.random(len(labels))
        flat = images.reshape(len(images), -1)
        shift, scale = 0.0, 1.0
        if self.scaling == "normalised":
            shift, scale = _standard(flat)
        noisy = np.empty(len(labels), np.int64)
        for start in range(0, len(labels), CHUNK):
            part = slice(start, start + CHUNK)
            features = (flat[part] - shift) * scale
            chances = probabilities(features, labels[part], flip_rates[part], weights)
            noisy[part] = drawn(chances, uniform[part])
        return noisy


def probabilities(
    features: np.ndarray, labels: np.ndarray, flip_rates: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Probability of each label for each image: float64 (N, C), rows sum to 1.

    Args:
        features: float (N, D).
        labels: true ones, int (N,).
        flip_rates: float (N,), probability of another label.
        weights: float (C, D, C), one map a true class, or (1, D, C).
    """
    scores = np.empty((len(labels), weights.shape[2]))
    for true in np.unique(labels):
        mine = labels == true
        scores[mine] = features[mine] @ weights[true if len(weights) > 1 else 0]
    own = np.arange(len(labels)), labels
    scores[own] = -np.inf
    scores -= scores.max(1, keepdims=True)
    chances = np.exp(scores)
    chances *= (flip_rates / chances.sum(1))[:, None]
    chances[own] = 1 - flip_rates
    return chances


def drawn(chances: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Labels int64 (N,) by the inverse of each row's cdf, one number in [0, 1) a row."""
    cdf = np.cumsum(chances, axis=1)
    cdf /= cdf[:, -1:]
    return (cdf <= uniform[:, None]).sum(1)


def _flip_rates(rate: float, count: int, rng: np.random.Generator) -> np.ndarray:
    low, high = -rate / RATE_STD, (1 - rate) / RATE_STD
    return (
        rate + RATE_STD * truncnorm.ppf(rng.random(count), low, high) if rate else np.zeros(count)
    )


def _standard(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What standardises each pixel, and makes a row's expected square length 1."""
    total = np.zeros(flat.shape[1])
    squares = np.zeros(flat.shape[1])
    for start in range(0, len(flat), CHUNK):
        part = flat[start : start + CHUNK].astype(np.float64)
        total += part.sum(0)
        squares += (part**2).sum(0)
    mean = total / len(flat)
    spread = np.sqrt(np.maximum(squares / len(flat) - mean**2, 1.0))
    return mean, 1 / (spread * np.sqrt(flat.shape[1]))
