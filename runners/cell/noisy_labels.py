"""Realised noisy labels: one draw per (data set, noise, seed), shared by all methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import datasets.noise
from datasets.base import Dataset
from datasets.noise.statistics import labels_sha256, realised
from runners.cell.seeds import stream
from runners.system.canonical import canonical


@dataclass(frozen=True)
class NoisyLabels:
    """The whole training part's labels after one draw of a noise model.

    Attributes:
        labels: (N,) int64.
        transition: (C, C) float64, the model's T; rows are clean classes.
        rate, matrix: realised share of wrong labels and realised (C, C) matrix.
        sha256: of the labels as little-endian int64.
    """

    labels: np.ndarray
    transition: np.ndarray
    rate: float
    matrix: np.ndarray
    sha256: str


def noisy_labels(
    dataset: Dataset, data: str, truth: np.ndarray, noise: dict[str, Any], seed: int
) -> NoisyLabels:
    """Draws the labels, always again: so those of older code are never taken for today's.

    Args:
        data: names the data in random streams (`Cell.data`).
        truth: (N,) int64 true labels of the official training part.
        noise: resolved parameters, "name" among them.
    """
    model = datasets.noise.of(noise)
    labels = model.corrupt(truth, dataset, noise_stream(data, noise, seed))
    digest = labels_sha256(labels)
    rate, matrix = realised(truth, labels, dataset.classes)
    return NoisyLabels(labels, model.transition_matrix(dataset), rate, matrix, digest)


def noise_stream(data: str, noise: dict[str, Any], seed: int) -> np.random.Generator:
    """The random stream of one draw: it depends on (data set, noise, seed) and nothing else."""
    return stream("noise", data, canonical(noise), seed)
