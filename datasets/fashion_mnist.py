"""Fashion-MNIST, whole (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747; MIT licence)."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np

from datasets.base import Arrays, DataError, FileDataset, read_bytes, register

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
ASYMMETRIC_MAP = {9: 7, 7: 5, 2: 6, 4: 3, 3: 4}
"""Ankle boot -> sneaker -> sandal, pullover -> shirt, coat <-> dress (Zhang and Sabuncu 2018)."""
_IMAGES_MAGIC_LENGTH = 16
_LABELS_MAGIC_LENGTH = 8


@register
class FashionMnist(FileDataset):
    """60,000 training and 10,000 test images, 28x28 grey.

    Found as torchvision leaves it (ROOT/FashionMNIST/raw, idx files or .gz) and where Debian's
    package `dataset-fashion-mnist` puts it. Debian packs the files anew, so the checksums are
    those of the unpacked content.
    """

    name = "fashion_mnist"
    display = "Fashion-MNIST"
    class_names = CLASS_NAMES
    channels = 1
    size = 28
    n_train = 60_000
    n_test = 10_000
    mean = (0.2860,)
    std = (0.3530,)
    clean_subset = 1_000
    asymmetric_map = ASYMMETRIC_MAP
    class_counts = (6_000,) * 10
    torchvision_class = "FashionMNIST"
    how_to_get = (
        "type `python datasets/download.py fashion_mnist --data DIR` or, on Debian, "
        "`apt-get install dataset-fashion-mnist`"
    )
    folder = "FashionMNIST/raw"
    files = MappingProxyType(
        {
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        }
    )

    def places(self, root: Path | None) -> list[Path]:
        return [*super().places(root), DEBIAN]

    def holds(self, folder: Path) -> bool:
        return all(_file(folder, name).is_file() for name in self.files)

    def content(self, folder: Path, name: str) -> bytes:
        """Verified content of one idx file, unpacked."""
        path = _file(folder, name)
        content = read_bytes(path)
        if path.suffix == ".gz":
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(
                    f"{path} is corrupt: it does not unpack ({error}), expected "
                    f"{self.algorithm} {self.files[name]} of what it holds"
                ) from error
        self.verify(path, name, content)
        return content

    def load(self, root: Path | None) -> Arrays:
        folder = self.find(root)
        train_images, train_labels, test_images, test_labels = (
            self.content(folder, name) for name in self.files
        )
        return Arrays.of(
            _images(train_images), _labels(train_labels), _images(test_images), _labels(test_labels)
        )


def _file(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _images(content: bytes) -> np.ndarray:
    pixels = np.frombuffer(content, np.uint8, offset=_IMAGES_MAGIC_LENGTH)
    return pixels.reshape(-1, 1, 28, 28)


def _labels(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8, offset=_LABELS_MAGIC_LENGTH)
