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
    """Draws the labels, and stores them unless the same ones are stored already.

    Drawing takes milliseconds; so labels of older code are never taken for those of today's.

    Args:
        folder: the study's `noise` folder.
        truth: (N,) int64 true labels of the official training part.
        noise: resolved parameters, "name" among them.
    """
    model = datasets.noise.get(noise["name"])(**noise)
    path = folder / f"{dataset.name}__{model.slug}__s{seed}.npz"
    labels = model.corrupt(truth, dataset, noise_stream(dataset.name, noise, seed))
    digest = labels_sha256(labels)
    if not _holds(path, digest):
        content = {"labels": labels, "sha256": np.array(digest)}
        write_atomically(path, lambda file: np.savez_compressed(file, **content))
    rate, matrix = realised(truth, labels, dataset.classes)
    return NoisyLabels(labels, model.transition_matrix(dataset), rate, matrix, digest)


def noise_stream(dataset: str, noise: dict[str, Any], seed: int) -> np.random.Generator:
    """The random stream of one draw: it depends on (data set, noise, seed) and nothing else."""
    return stream("noise", dataset, canonical(noise), seed)


def _holds(path: Path, digest: str) -> bool:
    """Whether a file is there, whole, and holds the labels with this checksum."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return labels_sha256(file["labels"]) == digest
    except (FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError):
        return False
