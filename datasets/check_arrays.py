"""The one check between what a data set loads and everything else: what cannot be misread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from datasets.base import UNKNOWN, Arrays, DataError, Dataset, Images
from datasets.packed import PackedImages

MOST_MISSING = 0.01
"""Share of a part of a data set whose copies differ (`Dataset.exact`)."""


def checked(arrays: Arrays, dataset: Dataset) -> Arrays:
    """The arrays, once they are what the data set says of itself.

    Raises:
        DataError: with one sentence for each thing that does not fit, in one line.
    """
    if wrong := list(_problems(arrays, dataset)):
        raise DataError(f"{dataset.name}: {'; '.join(wrong)}")
    return arrays


def _problems(arrays: Arrays, dataset: Dataset) -> Iterator[str]:
    if dataset.classes < 2:
        yield f"it has {dataset.classes} class: must have two or more"
    for part, told in (("train", dataset.n_train), ("test", dataset.n_test)):
        images = getattr(arrays, f"{part}_images")
        labels = getattr(arrays, f"{part}_labels")
        count = _count(told, len(labels), dataset)
        yield from _of_images(f"{part}_images", images, count, dataset)
        lowest = UNKNOWN if part == "train" and dataset.truth != "all" else 0
        yield from _of_labels(f"{part}_labels", labels, count, dataset.classes, lowest)
    n_train = _count(dataset.n_train, len(arrays.train_labels), dataset)
    for name, values in arrays.train_inputs.items():
        if len(values) != n_train:
            yield f"{name} has {len(values):,} rows: must have {n_train:,}"
    yield from _of_clean_set(arrays, dataset)
    labels = arrays.train_inputs.get("given", arrays.train_labels)
    if "given" in arrays.train_inputs:
        yield from _of_labels("given", labels, n_train, dataset.classes)
    if labels.ndim == 1 and len(labels) and labels.min() == labels.max():
        yield f"all train_labels are {labels.min()}: must be of two classes or more"
    counts, labels = dataset.class_counts, arrays.train_labels
    if counts is not None and labels.min(initial=0) >= 0 and labels.ndim == 1:
        found = tuple(np.bincount(labels, minlength=dataset.classes).tolist())
        if found != tuple(counts):
            yield f"its classes have {found} training images: must be {tuple(counts)}, as declared"


def _count(told: int | None, found: int, dataset: Dataset) -> int:
    """How many images a part must have, of which `found` have a label."""
    if told is None:
        return max(1, found)
    close = not dataset.exact and abs(found - told) <= MOST_MISSING * told
    return found if close else told


def _of_clean_set(arrays: Arrays, dataset: Dataset) -> Iterator[str]:
    declared = dataset.own_clean_counts
    images, labels = arrays.clean_images, arrays.clean_labels
    if (declared is None) != (images is None):
        yield "own_clean_counts must be set exactly if there are clean_images"
    elif declared is not None:
        count = _count(sum(declared), len(labels), dataset)
        yield from _of_images("clean_images", images, count, dataset)
        yield from _of_labels("clean_labels", labels, count, dataset.classes)


def _of_images(name: str, images: Images, count: int, dataset: Dataset) -> Iterator[str]:
    channels, size = dataset.channels, dataset.size
    if isinstance(images, PackedImages):
        if len(images) != count:
            yield f"{name} are {len(images):,}: must be {count:,}"
        if images.short_side < size:
            yield f"{name} are stored with {images.short_side} pixels: must be {size} or more"
        return
    wanted = (count, channels, size, size)
    if images.dtype != np.uint8:
        yield f"{name} are {images.dtype}: must be uint8 from 0 to 255"
    if images.shape == wanted:
        return
    last = images.shape == (count, size, size, channels)
    hint = ": channels come first" if last else ""
    yield f"{name} are {images.shape}: must be {wanted}{hint}"


def _of_labels(
    name: str, labels: np.ndarray, count: int, classes: int, lowest: int = 0
) -> Iterator[str]:
    if labels.dtype != np.int64:
        yield f"{name} are {labels.dtype}: must be int64"
    elif labels.shape != (count,):
        yield f"{name} are {labels.shape}: must be {(count,)}"
    elif count and not lowest <= labels.min() <= labels.max() < classes:
        yield f"{name} go from {labels.min()} to {labels.max()}: must be from 0 to {classes - 1}"
