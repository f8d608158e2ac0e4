"""The embedded default: a class-balanced, lossless fifth of Fashion-MNIST (MIT licence)."""

from __future__ import annotations

import io
import lzma
from pathlib import Path
from types import MappingProxyType

import numpy as np

from datasets.base import Arrays, FileDataset, corrupt, register
from datasets.fashion_mnist import ASYMMETRIC_MAP, CLASS_NAMES

EMBEDDED = Path(__file__).resolve().parent / "embedded"
PER_CLASS_TRAIN = 1_200
PER_CLASS_TEST = 300
FILE = "fashion_mnist_mini.xz"
FILE_SHA256 = "810b35c1fd11b11f8399d21d8c3640c24584e9173de3e9c904aabd0ce8c0b467"
ARRAYS_SHA256 = "5d6b21b691c190870ee4ffe9f8c63e5189f17793317c1f666f58bd4a6f96eaf2"
ARRAYS = (
    "train_images",
    "train_labels",
    "train_index",
    "test_images",
    "test_labels",
    "test_index",
)
"""Arrays of the container in order; `*_index` are positions in the official parts."""


@register
class FashionMnistMini(FileDataset):
    """12,000 training and 3,000 test images that ship with the repository.

    Of every class the first 1,200 training and 300 test images of the official order
    (`datasets/make_fashion_mnist_mini.py`). Mean and std are those of the full set.
    """

    name = "fashion_mnist_mini"
    display = "Fashion-MNIST mini"
    class_names = CLASS_NAMES
    channels = 1
    size = 28
    n_train = 10 * PER_CLASS_TRAIN
    n_test = 10 * PER_CLASS_TEST
    mean = (0.2860,)
    std = (0.3530,)
    clean_subset = 250
    asymmetric_map = ASYMMETRIC_MAP
    class_counts = (PER_CLASS_TRAIN,) * 10
    how_to_get = "it ships with the repository: check out datasets/embedded again"
    files = MappingProxyType({FILE: FILE_SHA256})
    algorithm = "sha256"

    def places(self, root: Path | None) -> list[Path]:
        """The repository's own folder; `root` is not used."""
        return [EMBEDDED]

    def load(self, root: Path | None) -> Arrays:
        content = self._unpack(root)
        arrays = Arrays.of(*(content[name] for name in ARRAYS if not name.endswith("index")))
        if arrays.sha256 != ARRAYS_SHA256:
            path = self.find(root) / FILE
            raise corrupt(path, "sha256 after decoding", ARRAYS_SHA256, arrays.sha256)
        return arrays

    def original_index(self, root: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the full data set: int64 (12000,) of training, (3000,) of test images."""
        content = self._unpack(root)
        return content["train_index"].astype(np.int64), content["test_index"].astype(np.int64)

    def _unpack(self, root: Path | None) -> dict[str, np.ndarray]:
        stream = io.BytesIO(lzma.decompress(self.content(self.find(root), FILE)))
        return {name: np.lib.format.read_array(stream, allow_pickle=False) for name in ARRAYS}
