"""A data set from outside, with parameters: images and labels of one `.npz` file.

In a study: `{name: examples.npz_images:NpzImages, label: squares, file: squares.npz, classes: 3}`.
The file lies in the data root (`--data DIR`) and holds `train_images`, `test_images` (uint8, N x C
x S x S) and `train_labels`, `test_labels` (whole numbers from 0).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydantic import Field

from datasets.base import Arrays, DataError, Dataset, usual_roots
from datasets.base import Parameters as NoParameters


class Parameters(NoParameters):
    """What a study sets."""

    file: str = Field(pattern=r"^[\w.-]+$", description="Name of the file in the data root.")
    classes: int = Field(ge=2, le=1000, description="Number of classes.")
    n_train: int = Field(ge=1, description="Training images that the file must hold.")
    channels: int = Field(1, ge=1, le=4, description="Channels of an image.")
    size: int = Field(8, ge=4, le=512, description="Side of an image in pixels.")
    sha256: str | None = Field(None, description="Of the file, where it must be this one.")


class NpzImages(Dataset):
    """Images and labels of one .npz file."""

    name = "npz_images"
    display = "Images of a file"
    n_test = None  # as many as the file holds
    clean_subset = 0
    how_to_get = "put the file into a data root (--data DIR)"
    Parameters = Parameters

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.class_names = tuple(f"class {k}" for k in range(parameters.classes))
        self.channels, self.size = parameters.channels, parameters.size
        self.n_train = parameters.n_train
        self.mean, self.std = (0.5,) * self.channels, (0.25,) * self.channels
        self.clean_subset = 10 * parameters.classes

    def find(self, root: Path | None) -> Path:
        """The file.

        Raises:
            DataError: it is in no data root.
        """
        places = [folder / self.parameters.file for folder in usual_roots(root)]
        for place in places:
            if place.is_file():
                return place
        looked = ", ".join(map(str, places))
        raise DataError(f"{self.name} is not there: looked in {looked}; {self.how_to_get}")

    def stamp(self, root: Path | None) -> str:
        return hashlib.sha256(self.find(root).read_bytes()).hexdigest()

    def check(self, root: Path | None) -> None:
        path, digest, expected = self.find(root), self.stamp(root), self.parameters.sha256
        if expected is not None and digest != expected:
            raise DataError(f"{path} is corrupt: its sha256 is {digest}, expected {expected}")

    def load(self, root: Path | None) -> Arrays:
        self.check(root)
        names = ("train_images", "train_labels", "test_images", "test_labels")
        with np.load(self.find(root), allow_pickle=False) as file:
            return Arrays.of(*(file[name] for name in names))
