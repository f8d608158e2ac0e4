"""What every data set and every noise model keeps to."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import datasets
from datasets.base import Arrays, Dataset
from datasets.check_arrays import checked
from datasets.noise.base import NoiseModel
from datasets.noise.statistics import realised
from datasets.packed import PackedImages
from datasets.registry import is_outside
from runners.cell.noisy_labels import noisy_labels
from runners.results.provenance import ROOT
from runners.system.names import is_name


@dataclass
class DataSubject:
    """A data set with parameters, and where its files are looked for."""

    name: str
    parameters: dict[str, Any]
    root: Path | None = None

    @cached_property
    def dataset(self) -> Dataset:
        return datasets.get(self.name, self.parameters)

    @cached_property
    def arrays(self) -> Arrays:
        return self.dataset.load(self.root)


def loads(subject: DataSubject) -> str | None:
    """Its files are there, and hold what it says of itself."""
    subject.dataset.check(subject.root)
    checked(subject.arrays, subject.dataset)
    return None


def loads_the_same_twice(subject: DataSubject) -> str | None:
    """Two loads give the same bytes."""
    again = subject.dataset.load(subject.root).sha256
    return None if again == subject.arrays.sha256 else "the second load has another checksum"


def has_right_statistics(subject: DataSubject) -> str | None:
    """Its mean and standard deviation are those of its training images, to 0.05."""
    images = subject.arrays.train_images
    if isinstance(images, PackedImages):  # of other sizes than what training sees
        return None
    pixels = images[:5000] / 255
    dataset = subject.dataset
    for name, measured in (("mean", pixels.mean((0, 2, 3))), ("std", pixels.std((0, 2, 3)))):
        told = np.asarray(getattr(dataset, name))
        if told.shape != measured.shape or np.abs(told - measured).max() > 0.05:
            values = ", ".join(f"{value:.3f}" for value in measured)
            return f"{name} is {tuple(told.tolist())}: the images have ({values})"
    return None


def has_right_classes(subject: DataSubject) -> str | None:
    """Its classes have names of their own, each has images, and told counts are right."""
    dataset, labels = subject.dataset, subject.arrays.train_labels
    counts = np.bincount(labels, minlength=dataset.classes)
    if len(set(dataset.class_names)) != dataset.classes:
        return "two classes have the same name"
    if not counts.all():
        return f"class {int(np.argmin(counts))} has no training image"
    if dataset.class_counts is not None and tuple(counts) != tuple(dataset.class_counts):
        return f"class_counts is {dataset.class_counts}: the labels have {tuple(counts.tolist())}"
    return None


def needs_no_torch(subject: DataSubject) -> str | None:
    """Importing it does not import torch, which plans and tables do without."""
    module = subject.name.partition(":")[0] if is_outside(subject.name) else "datasets"
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import {module}; print('torch' in sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    return "it imports torch" if asked.stdout.strip() == "True" else None


DATA_CHECKS = (
    *(loads, loads_the_same_twice, has_right_statistics, has_right_classes, needs_no_torch),
)


@dataclass
class NoiseSubject:
    """A noise model with parameters, on a data set."""

    name: str
    parameters: dict[str, Any]

    @cached_property
    def model(self) -> NoiseModel:
        return datasets.noise.of({"name": self.name, **self.parameters})

    @cached_property
    def dataset(self) -> Dataset:
        return datasets.get("fashion_mnist_mini")

    @cached_property
    def arrays(self) -> Arrays:
        return self.dataset.load(None)

    def draw(self, seed: int = 0) -> Any:
        """The labels as a cell would draw them."""
        noise = {"name": self.name, **self.model.model_dump(mode="json", exclude={"name"})}
        return noisy_labels(self.dataset, self.dataset.name, self.arrays, noise, seed)


def draws(subject: NoiseSubject) -> str | None:
    """It draws labels, images and masks of the right kind and changes none of its inputs."""
    subject.draw()
    return None


def draws_the_same_twice(subject: NoiseSubject) -> str | None:
    """The same seed gives the same labels, another seed others if it is random."""
    one, other, third = (subject.draw(seed) for seed in (0, 0, 1))
    if one.sha256 != other.sha256 or not np.array_equal(one.images, other.images):
        return "two draws differ: all random numbers must come from rng"
    same = one.sha256 == third.sha256 and np.array_equal(one.images, third.images)
    if one.rate > 0 and same and subject.model.random:
        return (
            "two seeds give the same labels: random numbers must come from rng (or random = False "
            "says that there are none)"
        )
    return None


def has_its_rate(subject: NoiseSubject) -> str | None:
    """Its nominal rate is a number in [0, 1]."""
    rate = subject.model.nominal_rate
    if not isinstance(rate, int | float) or not 0 <= rate <= 1:
        return f"nominal_rate is {rate!r}: must be a number from 0 to 1"
    return None


def is_quiet_at_rate_zero(subject: NoiseSubject) -> str | None:
    """With rate 0, if it has a rate, it changes no label."""
    if "rate" in subject.parameters:
        quiet = NoiseSubject(subject.name, {**subject.parameters, "rate": 0.0}).draw()
        truth = quiet.truth
        if (quiet.labels != truth)[truth >= 0].any():
            return "with rate 0 it changes labels"
    return None


def keeps_its_matrix(subject: NoiseSubject) -> str | None:
    """Its transition matrix, if any, has rows that sum to 1, and the labels follow it."""
    matrix = subject.model.transition_matrix(subject.dataset)
    if matrix is None:
        return None
    classes = subject.dataset.classes
    if np.shape(matrix) != (classes, classes) or not np.allclose(np.sum(matrix, axis=1), 1):
        return f"transition_matrix() has shape {np.shape(matrix)}: must be (C, C), rows sum to 1"
    _, measured = realised(subject.arrays.train_labels, subject.draw().labels, classes)
    distance = float(np.abs(measured - matrix).max())
    return None if distance < 0.06 else f"the labels' matrix is {distance:.2f} away from it"


def has_a_name_for_folders(subject: NoiseSubject) -> str | None:
    """Its slug can name a folder, differs with its parameters, and they can be written as JSON."""
    slug, dumped = subject.model.slug, subject.model.model_dump(mode="json")
    json.dumps(dumped, allow_nan=False)
    return None if is_name(slug) else f"slug is {slug!r}: give the entry a label in the study"


NOISE_CHECKS = (
    *(draws, draws_the_same_twice, has_its_rate, is_quiet_at_rate_zero),
    *(keeps_its_matrix, has_a_name_for_folders),
)
