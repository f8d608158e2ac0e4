"""Realised noisy labels: drawn once per (data set, noise, seed), stored, shared by all methods."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import datasets.noise
from datasets.base import Dataset
from datasets.noise.statistics import labels_sha256, realised
from runners.seeds import stream
from runners.store import canonical, write_atomically


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
    folder: Path, dataset: Dataset, truth: np.ndarray, noise: dict[str, Any], seed: int
) -> NoisyLabels:
    """Loads the stored labels, or draws and stores them.

    Args:
        folder: the study's `noise` folder.
        truth: (N,) int64 true labels of the official training part.
        noise: resolved parameters, "name" among them.
    """
    model = datasets.noise.get(noise["name"])(**noise)
    path = folder / f"{dataset.name}__{model.slug}__s{seed}.npz"
    labels = _read(path)
    if labels is None:
        labels = model.corrupt(truth, dataset, noise_stream(dataset.name, noise, seed))
        write_atomically(
            path,
            lambda file: np.savez_compressed(
                file, labels=labels, sha256=np.array(labels_sha256(labels))
            ),
        )
    rate, matrix = realised(truth, labels, dataset.classes)
    transition = model.transition_matrix(dataset)
    return NoisyLabels(labels, transition, rate, matrix, labels_sha256(labels))


def noise_stream(dataset: str, noise: dict[str, Any], seed: int) -> np.random.Generator:
    """The random stream of one draw: it depends on (data set, noise, seed) and nothing else."""
    return stream("noise", dataset, canonical(noise), seed)


def _read(path: Path) -> np.ndarray | None:
    """Stored labels; None where there are none or the file is not what was written."""
    try:
        with np.load(path, allow_pickle=False) as file:
            labels, expected = file["labels"], str(file["sha256"])
    except (FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError):
        return None
    return labels if labels_sha256(labels) == expected else None
