"""Realised noisy labels: one draw per (data set, noise, seed), shared by all methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import datasets.noise
from datasets.base import NO_CLASS, UNKNOWN, Arrays, Dataset, Images
from datasets.noise.base import Corruption, NoiseModel
from datasets.noise.statistics import labels_sha256, realised
from datasets.packed import PackedImages
from runners.cell.seeds import stream
from runners.system.canonical import canonical


@dataclass(frozen=True)
class NoisyLabels:
    """The whole training part after one draw of a noise model.

    Attributes:
        labels: (N,) int64.
        truth: (N,) int64 true labels; `NO_CLASS` where a sample has none, `UNKNOWN` where nobody
            has said it.
        images: (N, C, H, W) uint8 that training sees, or packed ones.
        transition: (C, C) float64, the model's T, rows are clean classes; None where it has none.
        rate: realised share of wrong labels; None where the truth is not known of all.
        matrix: realised (C, C) matrix of those whose truth is known; None where there are none.
        sha256: of the labels as little-endian int64.
        facts: what the model says of its draw.
        kept: positions int64 of the samples that parts of the split may have; rate and matrix are
            theirs.
    """

    labels: np.ndarray
    truth: np.ndarray
    images: Images
    transition: np.ndarray | None
    rate: float | None
    matrix: np.ndarray | None
    sha256: str
    facts: Mapping[str, float]
    kept: np.ndarray


def measured(
    truth: np.ndarray, labels: np.ndarray, classes: int
) -> tuple[float | None, np.ndarray | None]:
    """Realised rate and (C, C) matrix of labels (N,), as far as the true ones (N,) are known.

    The rate is None where not all are known, the matrix where none is.
    """
    known = truth != UNKNOWN
    if not known.any() and len(truth):
        return None, None
    rate, matrix = realised(truth[known], labels[known], classes)
    return rate if known.all() else None, matrix


def noisy_labels(
    dataset: Dataset,
    data: str,
    arrays: Arrays,
    noise: dict[str, Any],
    seed: int,
    places: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> NoisyLabels:
    """Draws the labels, always again: so those of older code are never taken for today's.

    Args:
        data: names the data in random streams (`Cell.data`).
        arrays: of the data set.
        noise: resolved parameters, "name" among them.
        places: those of them that are paths.
        root: where files are looked for first.

    Raises:
        ValueError: the model gives what cannot be used, or asks for what the data set lacks.
    """
    model = datasets.noise.of(noise, places)
    wanted = [name for name in model.wants if name in arrays.train_inputs]
    needed = [name for name in (*model.needs, *wanted) if name != "data_root"]
    inputs: dict[str, Any] = {name: _input(arrays, name, model) for name in needed}
    if "data_root" in model.needs:
        inputs["data_root"] = root
    rng = noise_stream(data, noise, seed)
    drawn = model.corrupt(_read_only(arrays.train_labels), dataset, rng, **inputs)
    drawn = drawn if isinstance(drawn, Corruption) else Corruption(drawn)
    if wrong := _problem(drawn, arrays, dataset):
        raise ValueError(f"noise model {model.name}: {wrong}")
    labels, truth = drawn.labels.astype(np.int64), arrays.train_labels
    if drawn.no_true_class is not None and drawn.no_true_class.any():
        truth = np.where(drawn.no_true_class, NO_CLASS, truth)
    images = arrays.train_images if drawn.images is None else drawn.images
    left_out = np.zeros(len(labels), bool) if drawn.left_out is None else drawn.left_out
    kept = np.flatnonzero(~left_out)
    rate, matrix = measured(truth[kept], labels[kept], dataset.classes)
    transition = model.transition_matrix(dataset)
    digest = labels_sha256(labels)
    return NoisyLabels(labels, truth, images, transition, rate, matrix, digest, drawn.facts, kept)


def noise_stream(data: str, noise: dict[str, Any], seed: int) -> np.random.Generator:
    """The random stream of one draw: it depends on (data set, noise, seed) and nothing else."""
    return stream("noise", data, canonical(noise), seed)


def _input(arrays: Arrays, name: str, model: NoiseModel) -> np.ndarray:
    if name == "images":
        if isinstance(arrays.train_images, PackedImages):
            raise ValueError(f"noise model {model.name} needs images in memory: they are packed")
        return _read_only(arrays.train_images)
    if name == "given" and name not in arrays.train_inputs:
        return _read_only(arrays.train_labels)
    if name not in arrays.train_inputs:
        known = ", ".join(("images", *arrays.train_inputs))
        raise ValueError(f"noise model {model.name} needs {name}: the data set has {known}")
    return _read_only(arrays.train_inputs[name])


def _read_only(array: np.ndarray) -> np.ndarray:
    """The array as one that a noise model cannot change by mistake."""
    view = array.view()
    view.flags.writeable = False
    return view


def _problem(drawn: Corruption, arrays: Arrays, dataset: Dataset) -> str | None:
    """What is wrong with what a noise model gives, as the end of a sentence."""
    labels, images = drawn.labels, drawn.images
    count = len(arrays.train_labels)
    if not isinstance(labels, np.ndarray) or not np.issubdtype(labels.dtype, np.integer):
        return "labels must be an array of integers"
    if labels.shape != (count,):
        return f"labels have shape {labels.shape}: must be ({count},)"
    if count and not 0 <= labels.min() <= labels.max() < dataset.classes:
        classes = dataset.classes - 1
        return f"labels go from {labels.min()} to {labels.max()}: must be from 0 to {classes}"
    if images is not None:
        expected = arrays.train_images.shape
        if (images.shape, images.dtype) != (expected, np.uint8):
            return f"images are {images.dtype} {images.shape}: must be uint8 {expected}"
    for name in ("no_true_class", "left_out"):
        mask = getattr(drawn, name)
        if mask is not None and (mask.shape, mask.dtype) != ((count,), np.bool_):
            return f"{name} is {mask.dtype} {mask.shape}: must be bool ({count},)"
    return None
