"""Data sets too large for memory: lists of image files, packed once, decoded in training."""

from __future__ import annotations

import functools
import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from datasets.base import NO_CLASS, UNKNOWN, Arrays, DataError, Dataset
from datasets.base import Parameters as NoParameters
from datasets.files import usual_roots
from datasets.listing import Listing, counted
from datasets.packed import Packed, PackedImages

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""Of each channel, by which the field normalises these data sets."""


class Parameters(NoParameters):
    """How the images are stored; the packed file of that size and fit must have been made."""

    stored: int = Field(256, ge=32, le=1024, description="Short side of the stored images.")
    fit: Literal["short", "stretch"] = Field(
        "short", description="short keeps the shape of an image, stretch makes it square."
    )


class ListedDataset(Dataset):
    """A data set whose images are in one file that `datasets/prepare.py` made of a person's copy.

    The copy lies in one of `folders` below a data root, and so does the packed file.
    """

    Parameters = Parameters
    packed = True
    exact = False
    channels = 3
    truth = "none"
    clean_subset = 0
    mean, std = IMAGENET["mean"], IMAGENET["std"]
    n_test: int

    folders: tuple[str, ...]
    published: Mapping[str, int]
    """Part -> number of images, as published; parts of a copy may lack 1 %."""

    @abstractmethod
    def listed(self, folder: Path) -> Listing:
        """The parts of the copy in a folder.

        Raises:
            DataError: a list is missing, or cannot be what it should be.
        """

    @abstractmethod
    def chosen(self, packed: Packed) -> dict[str, PackedImages]:
        """The images of `train`, `test` and, if there is a clean set of its own, `clean`."""

    @property
    def default_network(self) -> str:
        return "pretrained:resnet50"

    def places(self, root: Path | None) -> list[Path]:
        """Folders that may hold the copy or the packed file."""
        return [place / folder for place in usual_roots(root) for folder in self.folders]

    def find(self, root: Path | None) -> Path:
        """The folder of the copy.

        Raises:
            DataError: none is there.
        """
        places = self.places(root)
        for place in places:
            if place.is_dir():
                return place
        looked = ", ".join(map(str, places))
        raise DataError(f"{self.name} is not there: looked in {looked}; {self.how_to_get}")

    def listing(self, root: Path | None) -> Listing:
        """What the lists of the copy say, and how that differs from what is published.

        Raises:
            DataError: the copy, or a list of it, is not there or is another one.
        """
        return counted(self.name, self.listed(self.find(root)), self.published)

    @property
    def packed_name(self) -> str:
        """Name of the packed file."""
        fit = "" if self.parameters.fit == "short" else f"-{self.parameters.fit}"
        return f"{self.name}-{self.parameters.stored}{fit}.packed"

    def opened(self, root: Path | None) -> Packed:
        """The packed file, its index verified.

        Raises:
            DataError: it is not there, or damaged.
        """
        places = [place / self.packed_name for place in self.places(root)]
        for place in places:
            if place.is_file():
                stat = place.stat()
                return _opened(place, stat.st_mtime_ns, stat.st_size)
        stored, fit = self.parameters.stored, self.parameters.fit
        command = f"python datasets/prepare.py {self.name} --size {stored}"
        command += f" --fit {fit}" if fit != "short" else ""
        looked = ", ".join(map(str, places))
        raise DataError(f"{self.name} is not packed: looked for {looked}; `{command}` makes it")

    def check(self, root: Path | None) -> None:
        self.opened(root)

    def stamp(self, root: Path | None) -> str:
        return self.opened(root).sha256

    def load(self, root: Path | None) -> Arrays:
        packed = self.opened(root)
        parts = self.chosen(packed)
        train, test, clean = parts["train"], parts["test"], parts.get("clean")
        labels = [train.labels, test.labels, *([] if clean is None else [clean.labels])]
        digest = hashlib.sha256(f"{packed.sha256} {self.parameters!r}".encode()).hexdigest()
        return Arrays(
            train_images=train,
            train_labels=_truth(train),
            test_images=test,
            test_labels=labels[1],
            sha256=digest,
            train_inputs={"given": labels[0]},
            clean_images=clean,
            clean_labels=None if clean is None else labels[2],
        )


def _truth(images: PackedImages) -> np.ndarray:
    """True labels int64 (N,): known where somebody found the given one right.

    Of an image whose label was found wrong only that is known: `NO_CLASS`.
    """
    verified = images.verified
    truth = np.where(verified == 1, images.labels, UNKNOWN)
    return np.where(verified == 0, NO_CLASS, truth).astype(np.int64)


@functools.lru_cache(maxsize=4)
def _opened(path: Path, time: int, size: int) -> Packed:
    """A file that has not changed meanwhile is opened once."""
    return Packed(path)
