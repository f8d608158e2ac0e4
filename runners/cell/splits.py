"""Which images of the training part do what: protocol, section "Data of a cell"."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Split:
    """Positions in the official training part, int64, sorted; the five parts are disjoint."""

    train: np.ndarray
    noisy_val: np.ndarray
    clean_subset: np.ndarray
    clean_val: np.ndarray
    dev: np.ndarray


def split_training_part(
    labels: np.ndarray,
    *,
    clean_subset: int,
    clean_val: int,
    dev: int,
    noisy_val: float,
    rng: np.random.Generator,
) -> Split:
    """Splits the training part; every image lands in exactly one part.

    Clean subset, clean_val and dev are drawn in this order, class-balanced by true label with the
    remainder going to the first classes, as consecutive pieces of one permutation per class. So
    with the same `rng` a smaller clean subset is part of a larger one, and the clean subset does
    not depend on the parts after it. Of what is left, floor(noisy_val * left) images become
    noisy_val, uniformly and without looking at labels; train is the rest.

    Args:
        labels: true labels, int (N,), values 0..C-1 with C the largest label + 1; -1 for samples
            of none of the classes, which go to train and noisy_val only.
        clean_subset, clean_val, dev: numbers of images, 0 or more.
        noisy_val: share in [0, 1).
        rng: source of all randomness.

    Raises:
        ValueError: a count or share is out of range, a class has too few images, or no image is
            left to train on.
    """
    labels = np.asarray(labels)
    sizes = {"clean_subset": clean_subset, "clean_val": clean_val, "dev": dev}
    _check_sizes(sizes, noisy_val)
    members = [
        rng.permutation(np.flatnonzero(labels == c)) for c in range(int(labels.max(initial=-1)) + 1)
    ]
    _check_members(members, sizes)
    parts, used = {}, [0] * len(members)
    for name, size in sizes.items():
        quotas = _quotas(size, len(members))
        pieces = [m[u : u + q] for m, u, q in zip(members, used, quotas, strict=True)]
        used = [u + q for u, q in zip(used, quotas, strict=True)]
        parts[name] = np.sort(np.concatenate(pieces))
    classless = np.flatnonzero(labels < 0)
    left = np.sort(
        np.concatenate([classless, *(m[u:] for m, u in zip(members, used, strict=True))])
    )
    # Decimal, not binary: 0.29 of 100 images is 29, although 0.29 * 100 < 29 in doubles.
    held_out = int(Fraction(str(noisy_val)) * len(left))
    order = rng.permutation(left)
    return Split(train=np.sort(order[held_out:]), noisy_val=np.sort(order[:held_out]), **parts)


def _quotas(size: int, classes: int) -> list[int]:
    """Images per class, the remainder to the first classes."""
    return [size // classes + (c < size % classes) for c in range(classes)]


def _check_sizes(sizes: dict[str, int], noisy_val: float) -> None:
    for name, size in sizes.items():
        if size < 0:
            raise ValueError(f"{name} is {size}, it must be 0 or more")
    if not 0 <= noisy_val < 1:
        raise ValueError(f"noisy_val is {noisy_val}, it must be at least 0 and below 1")


def _check_members(members: list[np.ndarray], sizes: dict[str, int]) -> None:
    if not members:
        raise ValueError("there are no images to split")
    asked = " + ".join(f"{name} {size}" for name, size in sizes.items())
    quotas = zip(*(_quotas(size, len(members)) for size in sizes.values()), strict=True)
    for c, (own, quota) in enumerate(zip(members, quotas, strict=True)):
        if sum(quota) and sum(quota) >= len(own):
            raise ValueError(
                f"class {c} has {len(own)} training images, but {asked} ask for {sum(quota)} of it "
                "and none would be left to train on"
            )
