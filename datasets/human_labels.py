"""Labels that people gave to images of CIFAR-10 and CIFAR-100 (Wei et al., ICLR 2022, CIFAR-N).

The files are those of UCSC-REAL/cifar-10-100n, CC BY-NC 4.0: pickled NumPy arrays, read only once
their MD5 is right, and without torch.
"""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import (
    DataError,
    Dataset,
    FileDataset,
    corrupt,
    read_bytes,
    usual_roots,
)
from datasets.files import REPOSITORY

SETS = ("aggregate", "random1", "random2", "random3", "worst", "fine", "coarse")
"""Of CIFAR-10N the first five, of CIFAR-100N the others."""
COUNTS = REPOSITORY / "datasets" / "embedded" / "human_counts.npz"
COUNTS_SHA256 = "4c2f9d6d2ab2727c8ccadaf3286e4b2306e5813a2da0ff78e033ea10b9acc722"
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): "numpy._core.multiarray",
    ("numpy", "ndarray"): "numpy",
    ("numpy", "dtype"): "numpy",
    ("_codecs", "encode"): "_codecs",
}


class _Arrays(pickle.Unpickler):
    """Unpickles NumPy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(_ALLOWED[module, name], name)


@functools.cache
def counts(name: str) -> np.ndarray:
    """How often each true class (rows) got each label in a set of `SETS`: int64 (C, C).

    They ship with the suite (`datasets/make_human_counts.py`), so that plans need no label file.

    Raises:
        DataError: the file cannot be read, or is another one.
    """
    content = read_bytes(COUNTS)
    digest = hashlib.sha256(content).hexdigest()
    if digest != COUNTS_SHA256:
        raise corrupt(COUNTS, "sha256", COUNTS_SHA256, digest)
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return file[name].astype(np.int64)


@dataclass(frozen=True)
class HumanLabels:
    """The label file of a data set.

    Attributes:
        file, md5: its name and checksum.
        folder: that it may lie in, below a data root.
        clean: name of the true labels in it.
        sets: what a study calls a set of labels -> its name in the file.
    """

    file: str
    md5: str
    folder: str
    clean: str
    sets: Mapping[str, str]

    def find(self, root: Path | None, dataset: Dataset) -> Path:
        """The file: in `folder` of a data root, or beside the images.

        Raises:
            DataError: it is not there.
        """
        places = [place / self.folder for place in usual_roots(root)]
        if isinstance(dataset, FileDataset):
            places += dataset.places(root)
        for place in places:
            if (place / self.file).is_file():
                return place / self.file
        looked = ", ".join(map(str, places))
        raise DataError(
            f"human labels of {dataset.name} ({self.file}) are not there: looked in {looked}; they "
            "are in the folder data of github.com/UCSC-REAL/cifar-10-100n"
        )

    def arrays(self, path: Path) -> dict[str, Any]:
        """What the file holds, once its checksum is found right.

        Raises:
            DataError: it cannot be read, or is another file.
        """
        content = read_bytes(path)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if digest != self.md5:
            raise corrupt(path, "md5", self.md5, digest)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (entry,) = (each for each in archive.namelist() if each.endswith("data.pkl"))
            return _Arrays(io.BytesIO(archive.read(entry)), encoding="latin1").load()

    def read(self, root: Path | None, dataset: Dataset, truth: np.ndarray, name: str) -> np.ndarray:
        """One set of labels, int64 (N,).

        Args:
            truth: labels int64 (N,) of the loaded images, which must be those of the file.
            name: one of `sets`.

        Raises:
            DataError: the file is not there, is another one, or in another order than the images.
        """
        path = self.find(root, dataset)
        arrays = self.arrays(path)
        clean = np.asarray(arrays[self.clean], np.int64)
        if not np.array_equal(clean, truth):
            differ = "length" if len(clean) != len(truth) else "order"
            raise DataError(
                f"{path}: its {self.clean} are not the labels of {dataset.name}: the images are in "
                f"another {differ}"
            )
        return np.asarray(arrays[self.sets[name]], np.int64)
