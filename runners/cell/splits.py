"""Which images of the training part do what: protocol, section "Data of a cell"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from datasets.base import UNKNOWN


@dataclass(frozen=True)
class Split:
    """Positions in the official training part, int64, sorted; the five parts are disjoint.

    With `own_clean`, clean subset and clean_val are positions in the data set's own clean set.
    """

    train: np.ndarray
    noisy_val: np.ndarray
    clean_subset: np.ndarray
    clean_val: np.ndarray
    dev: np.ndarray
    own_clean: bool = False

    @property
    def of_training(self) -> dict[str, np.ndarray]:
        """Name of each part that lies in the training part -> its positions."""
        parts = {"train": self.train, "noisy_val": self.noisy_val, "dev": self.dev}
        if not self.own_clean:
            parts |= {"clean_subset": self.clean_subset, "clean_val": self.clean_val}
        return parts

    def within(self, positions: np.ndarray) -> Split:
        """The same parts where the split is of the samples at `positions`, ascending, alone."""
        parts = {name: positions[part] for name, part in self.of_training.items()}
        return replace(self, **parts)


def split_training_part(
    labels: np.ndarray,
    *,
    clean_subset: int,
    clean_val: int,
    dev: int,
    noisy_val: float,
    classes: int,
    rng: np.random.Generator,
    own_clean: np.ndarray | None = None,
) -> Split:
    """Splits the training part; every image lands in exactly one part.

    Clean subset, clean_val and dev are drawn in this order, class-balanced by true label with the
    remainder going to the first classes, as consecutive pieces of one permutation per class. So
    with the same `rng` a smaller clean subset is part of a larger one, and the clean subset does
    not depend on the parts after it. Of what is left, floor(noisy_val * left) images become
    noisy_val, uniformly and without looking at labels; train is the rest.

    Args:
        labels: true labels, int (N,), values 0..C-1; below 0 for samples of none of the classes or
            whose class is not known, which go to train and noisy_val only.
        classes: C.
        clean_subset, clean_val, dev: numbers of images, 0 or more.
        noisy_val: share in [0, 1).
        rng: source of all randomness.
        own_clean: labels int (M,) of a clean set outside the training part, out of which clean
            subset and clean_val are drawn then; the training part keeps all its images.

    Raises:
        ValueError: a count or share is out of range, a class has too few images, or no image is
            left to train on.
    """
    labels = np.asarray(labels)
    _check_sizes({"clean_subset": clean_subset, "clean_val": clean_val, "dev": dev}, noisy_val)
    if not len(labels):
        raise ValueError("there are no images to split")
    clean_sizes = {"clean_subset": clean_subset, "clean_val": clean_val}
    if own_clean is None:
        parts, left = _drawn(labels, clean_sizes | {"dev": dev}, classes, rng)
    else:
        clean, _ = _drawn(np.asarray(own_clean), clean_sizes, classes, rng, all_of_a_class=True)
        parts, left = _drawn(labels, {"dev": dev}, classes, rng)
        parts |= clean
    # Decimal, not binary: 0.29 of 100 images is 29, although 0.29 * 100 < 29 in doubles.
    held_out = int(Fraction(str(noisy_val)) * len(left))
    order = rng.permutation(left)
    train, noisy = np.sort(order[held_out:]), np.sort(order[:held_out])
    return Split(train=train, noisy_val=noisy, own_clean=own_clean is not None, **parts)


def _drawn(
    labels: np.ndarray,
    sizes: dict[str, int],
    classes: int,
    rng: np.random.Generator,
    all_of_a_class: bool = False,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Class-balanced parts of the given sizes, and all other positions, sorted.

    Args:
        all_of_a_class: whether parts may take all images of a class.
    """
    members = [rng.permutation(np.flatnonzero(labels == c)) for c in range(classes)]
    _check_members(members, sizes, all_of_a_class or bool((labels == UNKNOWN).any()))
    parts, used = {}, [0] * classes
    for name, size in sizes.items():
        quotas = _quotas(size, classes)
        pieces = [m[u : u + q] for m, u, q in zip(members, used, quotas, strict=True)]
        used = [u + q for u, q in zip(used, quotas, strict=True)]
        parts[name] = np.sort(np.concatenate(pieces))
    classless = np.flatnonzero(labels < 0)
    rest = [classless, *(m[u:] for m, u in zip(members, used, strict=True))]
    return parts, np.sort(np.concatenate(rest))


def _quotas(size: int, classes: int) -> list[int]:
    """Images per class, the remainder to the first classes."""
    return [size // classes + (c < size % classes) for c in range(classes)]


def _check_sizes(sizes: dict[str, int], noisy_val: float) -> None:
    for name, size in sizes.items():
        if size < 0:
            raise ValueError(f"{name} is {size}, it must be 0 or more")
    if not 0 <= noisy_val < 1:
        raise ValueError(f"noisy_val is {noisy_val}, it must be at least 0 and below 1")


def _check_members(members: list[np.ndarray], sizes: dict[str, int], all_of_a_class: bool) -> None:
    asked = " + ".join(f"{name} {size}" for name, size in sizes.items())
    quotas = zip(*(_quotas(size, len(members)) for size in sizes.values()), strict=True)
    for c, (own, quota) in enumerate(zip(members, quotas, strict=True)):
        if sum(quota) and sum(quota) + (not all_of_a_class) > len(own):
            left = "" if all_of_a_class else " and none would be left to train on"
            raise ValueError(
                f"class {c} has {len(own)} training images, but {asked} ask for {sum(quota)} of it"
                f"{left}"
            )
