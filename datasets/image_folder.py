"""A person's own images: a folder of images for each class, or a list of files with labels."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from datasets.base import UNKNOWN, Arrays, DataError, Dataset, register
from datasets.base import Parameters as NoParameters
from datasets.folder.rows import Row, natural, read_source
from datasets.folder.store import Decoded, decoded, is_current, remembered
from datasets.paths import OnDisk


class Parameters(NoParameters):
    """What a study sets of a folder or list."""

    path: OnDisk = Field(
        description="Folder with a folder of images for each class (or train/, test/ and clean/ "
        "of such), or a .csv, .tsv or .parquet with path, label and, where known, clean_label and "
        "split (train, test, clean)."
    )
    size: int | None = Field(
        None, ge=8, le=512, description="Side of the images; null: median short side, at most 128."
    )
    fit: Literal["crop", "stretch"] = Field(
        "crop", description="How images become square: cut off at the ends, or scaled on both axes."
    )
    labels: Literal["given", "true"] = Field(
        "given", description="Whether all labels are known to be true, so that noise can be made."
    )
    test_share: float = Field(
        0.2, gt=0, le=0.5, description="Share that is split off where there is no test set."
    )


@register
class ImageFolder(Dataset):
    """A person's own images: a folder of images for each class, or a list of files with labels.

    Names of folders or labels are the classes, numbers in natural order. What is known of true
    labels: none of a folder, those in `clean_label` of a list, all with `labels: true`. A test set
    (`split` or folder `test`) is taken to be right. Without one, `test_share` of each class is
    split off by the checksum of its files' names, so that it is the same for all seeds and hardly
    changes when images come or go; then results are judged by labels that may be wrong.

    What the source holds is looked at once, when this is made (`datasets.forget` makes it anew): so
    stamp, facts and images belong together, whatever happens to the files meanwhile.
    """

    name = "image_folder"
    display = "Own images"
    how_to_get = "name a folder of images, or a list of them (path)"
    Parameters = Parameters

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.path = Path(parameters.path).expanduser()
        size, fit = self.parameters.size, self.parameters.fit
        try:
            source = read_source(self.path)
            rows, self._decoded = source.rows, decoded(self.path, source, size, fit)
            self._missing, self.other_endings = "", source.endings
        except DataError as error:
            before = None if self.path.exists() else remembered(self.path, size, fit)
            if before is None:
                raise
            (rows, self._decoded), self._missing, self.other_endings = before, str(error), ""
        self._facts(rows, self._decoded)

    @classmethod
    def is_read(cls, parameters: Mapping[str, Any]) -> bool:
        """Whether making one would decode no image: what lies there was read before, or is gone."""
        told = cls.Parameters(**parameters)
        path = Path(told.path).expanduser()
        try:
            return is_current(path, read_source(path), told.size, told.fit)
        except DataError:
            return True

    def _facts(self, rows: list[Row], images: Decoded) -> None:
        """Sets what a data set says of itself."""
        readable = [row for row in rows if row.path not in images.broken]
        self.left_out = tuple(f"{name} ({why})" for name, why in sorted(images.broken.items()))
        self.as_named = {row.path: row for row in readable}
        has_test = any(row.split == "test" for row in readable)
        if not has_test:
            readable = _with_test_part(self.path, readable, self.parameters.test_share)
        self.rows = readable
        self.parts = {
            split: np.array([k for k, row in enumerate(readable) if row.split == split], np.int64)
            for split in ("train", "test", "clean")
        }
        self.class_names = _class_names(self.path, readable)
        self.channels, self.size = images.channels, images.side
        self.n_train, self.n_test = len(self.parts["train"]), len(self.parts["test"])
        known = self._known("train")
        self.truth = "all" if (known >= 0).all() else "some" if (known >= 0).any() else "none"
        self.class_counts = self._counts(known) if (known >= 0).any() else None
        own = self._known("clean")
        self.own_clean_counts = self._counts(own) if len(own) else None
        self.judged_by_given = not has_test and bool((self._known("test") == UNKNOWN).any())
        self.clean_subset = self.classes * self._clean_of_a_class()

    def _clean_of_a_class(self) -> int:
        """Default number of clean images of each class: all that there are as many of, at most."""
        if self.own_clean_counts is not None:
            return min(self.own_clean_counts)
        least = min(self.class_counts or (0,))
        return min(least if self.truth == "some" else least // 10, 1000 // self.classes)

    def _counts(self, labels: np.ndarray) -> tuple[int, ...]:
        counts = np.bincount(labels[labels >= 0], minlength=len(self.class_names))
        return tuple(counts.tolist())

    def _known(self, part: str) -> np.ndarray:
        """True labels (n,) int64 of a part, as far as they are known."""
        trusted = part == "clean" or self.parameters.labels == "true"
        rows = [self.rows[k] for k in self.parts[part]]
        names = [row.clean_label or (row.label if trusted else "") for row in rows]
        number = {name: k for k, name in enumerate(self.class_names)} | {"": UNKNOWN}
        return np.array([number[name] for name in names], np.int64)

    def _given(self, part: str) -> np.ndarray:
        number = {name: k for k, name in enumerate(self.class_names)}
        return np.array([number[self.rows[k].label] for k in self.parts[part]], np.int64)

    @property
    def mean(self) -> tuple[float, ...]:
        """Of the training images, as measured."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Of the training images, as measured."""
        return self._moments[1]

    @functools.cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        _, sums = self._decoded.images()
        first, second = sums[self.parts["train"]].mean(0).T / self.size**2
        spread = np.sqrt(np.maximum(second - first**2, 1e-4))
        return tuple(first.round(4).tolist()), tuple(spread.round(4).tolist())

    def stamp(self, root: Path | None) -> str:
        """Changes with any file, label or part; not with the place. `root` is not used."""
        if self._missing:
            raise DataError(self._missing)
        return self._checksum

    @functools.cached_property
    def _checksum(self) -> str:
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(f"{row} {self._decoded.sha256[row.path]}\n".encode())
        return digest.hexdigest()

    def check(self, root: Path | None) -> None:
        self.stamp(root)

    def load(self, root: Path | None) -> Arrays:
        self.check(root)
        images, _ = self._decoded.images()
        train, test, clean = self.parts.values()
        truth = self._known("test")
        test_labels = np.where(truth == UNKNOWN, self._given("test"), truth)
        return Arrays.of(
            images[train],
            self._known("train"),
            images[test],
            test_labels,
            clean=(images[clean], self._known("clean")) if len(clean) else None,
            given=self._given("train"),
            path=np.array([self.rows[k].path for k in train]),
        )

    def files(self, part: str) -> list[str]:
        """Files of a part ("train", "test" or "clean"), in its order, relative to the folder."""
        return [self.rows[k].path for k in self.parts[part]]


def _with_test_part(path: Path, rows: list[Row], share: float) -> list[Row]:
    """The rows with a share of each class as test part: the lowest checksums of names.

    Raises:
        DataError: that is no image.
    """
    wanted = Counter(row.label for row in rows if row.split == "train")
    left = {label: round(share * count) for label, count in wanted.items()}
    if not any(left.values()):
        most = max(wanted.values(), default=0)
        raise DataError(
            f"{path}: test_share {share:g} of at most {most} training images a class leaves no "
            "image to test on: must have a part test, more images or a larger test_share"
        )
    chosen = set()
    for row in sorted(rows, key=lambda row: hashlib.sha256(row.path.encode()).digest()):
        if row.split == "train" and left[row.label]:
            left[row.label] -= 1
            chosen.add(row.path)
    return [row._replace(split="test") if row.path in chosen else row for row in rows]


def _class_names(path: Path, rows: list[Row]) -> tuple[str, ...]:
    """The classes of the training part in natural order.

    Raises:
        DataError: fewer than two, or a label elsewhere that is none of them.
    """
    names = {row.label for row in rows if row.split == "train"}
    for row in rows:
        for label in filter(None, (row.label, row.clean_label)):
            if label not in names:
                known = ", ".join(sorted(names, key=natural)[:20])
                raise DataError(
                    f"{path}: {row.path} ({row.split}) is labelled {label!r}: must be a class that "
                    f"is given to a training image ({known})"
                )
    if len(names) < 2:
        raise DataError(f"{path} has images of {len(names)} class: must have two or more")
    return tuple(sorted(names, key=lambda name: (natural(name), name)))
