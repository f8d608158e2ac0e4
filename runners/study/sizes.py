"""Whether the clean parts of a protocol fit a data set: enough images of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets.base import Dataset
from runners.study.entries import NoiseEntry
from runners.study.problems import Problems

CLEAN_PARTS = ("clean_subset", "clean_val", "dev")


def clean_counts(dataset: Dataset) -> tuple[int, ...] | None:
    """Images per class that clean parts are drawn from; empty without any, None if not known.

    They are training images, or those of the data set's own clean set.
    """
    if dataset.own_clean_counts is not None:
        return dataset.own_clean_counts
    return () if dataset.truth == "none" else dataset.class_counts


def check_sizes(
    dataset: Dataset,
    protocol: dict[str, Any],
    noises: list[NoiseEntry],
    size_key: str,
    problems: Problems,
) -> None:
    """Notes a clean part that takes more of a class than it has, and parts that leave nothing.

    Args:
        size_key: of the study file, where the size of the clean subset stands.
    """
    counts = clean_counts(dataset)
    if wrong := too_large(dataset, protocol, counts):
        _refuse(*wrong, size_key, problems)
        return
    for noise in noises if counts and dataset.own_clean_counts is None else ():
        staying = getattr(noise.model, "counts_left", None)
        wrong = staying and too_large(dataset, protocol, staying(counts), f" under {noise.slug}")
        if wrong:
            _refuse(*wrong, size_key, problems)
            return
    own = dataset.own_clean_counts is not None
    taken = ("dev",) if own else CLEAN_PARTS
    left = dataset.n_train - sum(protocol[part] for part in taken)
    if left - int(protocol["noisy_val"] * left) < 1:
        allowed = f"small enough to leave any of the {dataset.n_train:,} images to train on"
        problems.refuse(size_key, protocol["clean_subset"], allowed)


def _refuse(part: str, size: int, allowed: str, size_key: str, problems: Problems) -> None:
    problems.refuse(size_key if part == "clean_subset" else f"protocol.{part}", size, allowed)


def too_large(
    dataset: Dataset,
    protocol: dict[str, Any],
    counts: Sequence[int] | None,
    under: str = "",
) -> tuple[str, int, str] | None:
    """The first clean part that is too large: its name, its size, and what it must be.

    Args:
        counts: images of each class that there are to draw from; None where that is not known.
        under: by what these are fewer than in the data set, for the sentence.
    """
    parts = CLEAN_PARTS if dataset.own_clean_counts is None else CLEAN_PARTS[:2]
    limits = _limits(dataset, counts)
    needed, total = [0] * dataset.classes, 0
    for part in parts:
        size = protocol[part]
        each, more = divmod(size, dataset.classes)
        needed = [need + each + (k < more) for k, need in enumerate(needed)]
        total += size
        short = [k for k, limit in enumerate(limits) if needed[k] and needed[k] > limit]
        if short:
            k = short[0]
            beside = "" if total == size else ", together with the other clean parts"
            return (
                part,
                size,
                f"less than what a class of {dataset.name} holds{under}: it takes {needed[k]:,} "
                f"per class of {(counts or limits)[k]:,} in {dataset.class_names[k]}{beside}",
            )
    return None


def _limits(dataset: Dataset, counts: Sequence[int] | None) -> list[int]:
    """Most images of each class for clean parts: one is left to train on where all are known."""
    if counts is not None and not counts:
        return [0] * dataset.classes
    left = dataset.own_clean_counts is None and dataset.truth == "all"
    return [count - left for count in counts or ()]
