"""Open-set noise: images of another data set among those of the classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, create_model

import datasets
from datasets.base import DataError, Dataset
from datasets.check_arrays import checked
from datasets.noise.base import Corruption, NoiseModel, Rate, checked_labels, register

# `from` is a word of Python's own, so that no class body can have it as a field.
_From = create_model(
    "_From",
    __base__=NoiseModel,
    **{"from": (str, Field(description="Data set whose training images come in."))},
)


@register
class OpenSet(_From):
    """Exactly round(rate * N) training images are replaced by images of another data set.

    Labels stay, so the replaced images belong to none of the classes (`no_true_class`). Which
    images and by which is random, each of the other set at most once where it has enough. They are
    resized to the size of the data set, and made grey or RGB as it is. The other set should have
    none of the classes: nobody checks that.
    """

    name: Literal["open_set"] = "open_set"
    needs: ClassVar[tuple[str, ...]] = ("images", "data_root")

    rate: Rate

    @property
    def nominal_rate(self) -> float:
        return self.rate

    @property
    def slug(self) -> str:
        return f"open_set-{self._other_name}-{self.rate}"

    @property
    def display(self) -> str:
        return f"Open set {self._other_name} {self.rate}"

    @property
    def _other_name(self) -> str:
        return getattr(self, "from")

    def _other(self) -> Dataset:
        if self._other_name not in datasets.names() or self._other_name == "image_folder":
            known = ", ".join(name for name in datasets.names() if name != "image_folder")
            raise ValueError(f"open_set: from is {self._other_name!r}: must be one of {known}")
        return datasets.get(self._other_name)

    def transition_matrix(self, dataset: Dataset) -> None:
        """None: what is replaced has no true class.

        Raises:
            ValueError: the other data set is none, or the same.
        """
        if self._other().name == dataset.name:
            raise ValueError(f"open_set: from is {dataset.name}, the data set itself")
        if self._other().packed:
            raise ValueError(f"open_set: from is {self._other_name}: must fit in memory")

    def stamp(self, root: Path | None) -> str:
        return self._other().stamp(root)

    def check(self, dataset: Dataset, root: Path | None) -> None:
        try:
            self._other().check(root)
        except DataError as error:
            raise DataError(f"open_set: {error}") from error

    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        images: np.ndarray,
        data_root: Path | None,
    ) -> Corruption:
        labels = checked_labels(labels, dataset)
        other = self._other()
        try:
            pool = checked(other.load(data_root), other).train_images
        except DataError as error:
            raise DataError(f"open_set: {error}") from error
        count = round(self.rate * len(labels))
        replaced = rng.permutation(len(labels))[:count]
        rounds = [rng.permutation(len(pool)) for _ in range(-(-count // len(pool)))]
        chosen = np.concatenate([*rounds, np.array([], np.int64)])[:count]
        mixed = images.copy()
        mixed[replaced] = resized(pool[chosen], dataset.size, dataset.channels)
        mask = np.zeros(len(labels), bool)
        mask[replaced] = True
        return Corruption(labels, mixed, mask)


def resized(images: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Images uint8 (N, C, H, W) as uint8 (N, channels, size, size), bilinear."""
    from PIL import Image  # only here: plans can do without

    if images.shape[1:] == (channels, size, size):
        return images
    mode = "L" if channels == 1 else "RGB"
    drawn = np.empty((len(images), size, size, channels), np.uint8)
    for place, image in zip(drawn, images, strict=True):
        picture = Image.fromarray(image.transpose(1, 2, 0).squeeze()).convert(mode)
        scaled = picture.resize((size, size), Image.Resampling.BILINEAR)
        place[:] = np.asarray(scaled).reshape(size, size, channels)
    return np.ascontiguousarray(drawn.transpose(0, 3, 1, 2))
