"""What every data set offers: facts that need no file, and arrays that are read and verified."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from datasets.files import DataError as DataError
from datasets.files import corrupt as corrupt
from datasets.files import read_bytes as read_bytes
from datasets.files import usual_roots as usual_roots
from datasets.packed import PackedImages
from datasets.registry import register as register

NO_CLASS = -1
"""True label of a sample that belongs to none of the classes."""
UNKNOWN = -2
"""True label of a sample whose true class nobody has said."""


Images = np.ndarray | PackedImages
"""uint8 (N, C, H, W), or images of a packed file that are decoded when they are needed."""


@dataclass(frozen=True)
class Arrays:
    """A data set in memory, official order; images may be in a packed file."""

    train_images: Images
    """uint8 (n_train, C, H, W)."""
    train_labels: np.ndarray
    """int64 (n_train,), true labels, values 0..classes-1; `UNKNOWN` where nobody has said one."""
    test_images: Images
    """uint8 (n_test, C, H, W)."""
    test_labels: np.ndarray
    """int64 (n_test,)."""
    sha256: str
    """Over the four arrays in order, inputs by name, the clean set, see `sha256_of_arrays`."""
    train_inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What noise models may ask for by name: arrays with n_train rows, such as `given` labels
    (int64 (n_train,), where they are not the true ones) or the `path` of each image."""
    clean_images: Images | None = None
    """uint8 (n_clean, C, H, W), a clean set of the data set's own, outside its training part."""
    clean_labels: np.ndarray | None = None
    """int64 (n_clean,)."""

    @classmethod
    def of(
        cls,
        train_images: np.ndarray,
        train_labels: np.ndarray,
        test_images: np.ndarray,
        test_labels: np.ndarray,
        clean: tuple[np.ndarray, np.ndarray] | None = None,
        **train_inputs: np.ndarray,
    ) -> Arrays:
        """Makes the arrays contiguous and writable, labels int64, and hashes them.

        Args:
            clean: images and labels of a clean set of its own.

        Raises:
            DataError: images that are not uint8, or labels that are no integers.
        """
        arrays = [
            _as_given("train_images", train_images, np.uint8, ""),
            _as_given("train_labels", train_labels, np.int64, "iu"),
            _as_given("test_images", test_images, np.uint8, ""),
            _as_given("test_labels", test_labels, np.int64, "iu"),
        ]
        inputs = [train_inputs[name] for name in sorted(train_inputs)]
        own = []
        if clean is not None:
            own = [
                _as_given("clean_images", clean[0], np.uint8, ""),
                _as_given("clean_labels", clean[1], np.int64, "iu"),
            ]
        digest = sha256_of_arrays(*arrays, *inputs, *own)
        return cls(*arrays, digest, train_inputs, *own)


class Parameters(BaseModel):
    """What a study may set of a data set; by default nothing. Subclasses add fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(ABC):
    """Facts of one data set, and how to load it. Subclasses set the attributes.

    A data set with parameters has a `Parameters` of its own and may set attributes that depend on
    them in its constructor.
    """

    Parameters: ClassVar[type[Parameters]] = Parameters

    name: str
    display: str
    class_names: tuple[str, ...]
    channels: int
    size: int
    """Height and width of the square images in pixels."""
    n_train: int
    n_test: int | None
    """Test images; None where that is not known without loading."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Per channel, of pixel values scaled to [0, 1]."""
    clean_subset: int
    """Default number of clean images that are given to methods with that privilege."""
    asymmetric_map: Mapping[int, int] = MappingProxyType({})
    """True class -> the class it is mistaken for; empty where the literature names none."""
    class_counts: tuple[int, ...] | None = None
    """Training images per class; None where that is not known without loading."""
    truth: Literal["all", "some", "none"] = "all"
    """Of how many training images the true label is known."""
    own_clean_counts: tuple[int, ...] | None = None
    """Images per class of a clean set outside the training part; None where there is none."""
    judged_by_given: bool = False
    """Whether labels of test images may be wrong."""
    exact: bool = True
    """Whether every copy has exactly so many images; else 1 % of each part may be missing."""
    packed: bool = False
    """Whether its images are in a packed file, decoded when they are needed."""
    how_to_get: str
    """What a person types or does to get the data; ends sentences."""
    torchvision_class: str | None = None
    """Name in `torchvision.datasets` through which `datasets/download.py` fetches it."""

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = parameters or self.Parameters()

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def default_network(self) -> str:
        """Network of the fair protocol for this image size."""
        if self.size > 32:
            return "resnet18"
        return "small_cnn" if self.size < 32 else "cnn8"

    @property
    def augment(self) -> str:
        """What `augment: auto` stands for."""
        return "crop_flip" if self.size >= 32 else "none"

    @abstractmethod
    def check(self, root: Path | None) -> None:
        """Verifies that the data are there and intact.

        Args:
            root: data root to look in before the usual places.

        Raises:
            DataError: a file is missing, unreadable or corrupt (then with its checksums).
        """

    def stamp(self, root: Path | None) -> str:
        """Text that is another one once the data have changed, found without decoding them.

        Finished cells of another stamp are stale. Empty where checksums in the code fix the data.

        Raises:
            DataError: the data are not there.
        """
        return ""

    @abstractmethod
    def load(self, root: Path | None) -> Arrays:
        """Reads, verifies and decodes the data; arguments and errors as in `check`."""


def _as_given(name: str, values: np.ndarray, dtype: type, kinds: str) -> np.ndarray:
    """An array in its dtype, contiguous and writable; nothing is converted that could be misread.

    Args:
        kinds: NumPy's letters for the kinds of dtype that may be converted.
    """
    array = np.asarray(values)
    if array.dtype != dtype and array.dtype.kind not in kinds:
        numbers = array.dtype.kind in "iufb" and array.size
        span = f" from {array.min():g} to {array.max():g}" if numbers else ""
        needed = "uint8 from 0 to 255" if dtype is np.uint8 else "integers from 0"
        raise DataError(f"{name} are {array.dtype}{span}: must be {needed}")
    return np.require(array, dtype, ["C", "W"])


class FileDataset(Dataset):
    """A data set in files with known checksums, in one folder below a data root."""

    folder: str
    """Relative to the data root."""
    files: Mapping[str, str]
    """File name -> checksum of its content."""
    algorithm: str = "md5"

    def places(self, root: Path | None) -> list[Path]:
        """Folders that may hold the files, in order of preference."""
        return [place / self.folder for place in usual_roots(root)]

    def holds(self, folder: Path) -> bool:
        """Whether all files are in `folder`."""
        return all((folder / name).is_file() for name in self.files)

    def find(self, root: Path | None) -> Path:
        """The first of `places` that holds all files.

        Raises:
            DataError: none does.
        """
        places = self.places(root)
        for place in places:
            if self.holds(place):
                return place
        looked = ", ".join(map(str, places))
        raise DataError(f"{self.name} is not there: looked in {looked}; {self.how_to_get}")

    def content(self, folder: Path, name: str) -> bytes:
        """Verified content of one file.

        Raises:
            DataError: it cannot be read or its checksum is wrong.
        """
        path = folder / name
        content = read_bytes(path)
        self.verify(path, name, content)
        return content

    def verify(self, path: Path, name: str, content: bytes) -> None:
        """Raises a DataError if `content`, read from `path`, is not that of file `name`."""
        digest = hashlib.new(self.algorithm, content, usedforsecurity=False).hexdigest()
        if digest != self.files[name]:
            raise corrupt(path, self.algorithm, self.files[name], digest)

    def check(self, root: Path | None) -> None:
        folder = self.find(root)
        for name in self.files:
            self.content(folder, name)


def sha256_of_arrays(*arrays: np.ndarray) -> str:
    """Hex SHA-256 over dtype, shape and little-endian C-order bytes of the arrays in turn."""
    digest = hashlib.sha256()
    for array in arrays:
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.data)
    return digest.hexdigest()
