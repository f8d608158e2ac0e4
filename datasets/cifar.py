"""CIFAR-10 (Krizhevsky 2009) as torchvision stores it, and a JPEG copy for smoke runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import MappingProxyType

import numpy as np

from datasets import jpeg
from datasets.base import Arrays, FileDataset, read_bytes, register
from datasets.human_labels import HumanLabels

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.247, 0.243, 0.262)
"""Of all pixels. The .2023 .1994 .2010 seen in many codes is the mean of per-image deviations."""
ASYMMETRIC_MAP = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
"""Truck -> automobile, bird -> airplane, deer -> horse, cat <-> dog (Patrini et al. 2017)."""
HUMAN_LABELS = HumanLabels(
    *("CIFAR-10_human.pt", "96644db5574813cae939af5f7f2a0aec", "cifar10n", "clean_label"),
    {
        "aggregate": "aggre_label",
        "random1": "random_label1",
        "random2": "random_label2",
        "random3": "random_label3",
        "worst": "worse_label",
    },
)
_TEST = "test_batch"


@register
class Cifar10(FileDataset):
    """50,000 training and 10,000 test images, 32x32 RGB, from ROOT/cifar-10-batches-py.

    The batches are pickles, so each is unpickled only after its MD5 has been found right.
    """

    name = "cifar10"
    display = "CIFAR-10"
    class_names = CLASS_NAMES
    channels = 3
    size = 32
    n_train = 50_000
    n_test = 10_000
    mean = MEAN
    std = STD
    clean_subset = 1_000
    asymmetric_map = ASYMMETRIC_MAP
    class_counts = (5_000,) * 10
    human_labels = HUMAN_LABELS
    torchvision_class = "CIFAR10"
    how_to_get = "type `python datasets/download.py cifar10 --data DIR`"
    folder = "cifar-10-batches-py"
    files = MappingProxyType(
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            _TEST: "40351d587109b95175f43aff81a1287e",
        }
    )

    def load(self, root: Path | None) -> Arrays:
        folder = self.find(root)
        parts = {name: _batch(self.content(folder, name)) for name in self.files}
        test_images, test_labels = parts.pop(_TEST)
        images, labels = zip(*parts.values(), strict=True)
        return Arrays.of(np.concatenate(images), np.concatenate(labels), test_images, test_labels)


def _batch(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 3, 32, 32) and labels int64 (N,) of a verified batch."""
    batch = pickle.loads(content, encoding="latin1")
    return batch["data"].reshape(-1, 3, 32, 32), np.array(batch["labels"], dtype=np.int64)


@register
class Cifar10Jpeg(FileDataset):
    """CIFAR-10 out of JPEG files, in the original order: never report it as CIFAR-10.

    Pixels differ from the originals by 5.8 of 255 on average (JPEG quality about 75), so accuracies
    are not comparable with any published number. For smoke runs at CIFAR-10's size where the
    original cannot be had. Decoding takes seconds; the result is kept beside the file or in
    the user's cache folder.
    """

    name = "cifar10_jpeg"
    display = "CIFAR-10 (JPEG copy)"
    class_names = CLASS_NAMES
    channels = 3
    size = 32
    n_train = 50_000
    n_test = 10_000
    mean = MEAN
    std = STD
    clean_subset = 1_000
    asymmetric_map = ASYMMETRIC_MAP
    class_counts = (5_000,) * 10
    human_labels = HUMAN_LABELS
    how_to_get = (
        "put cifar10_jpeg.npz into the folder cifar10_jpeg of a data root (--data DIR); "
        "datasets/make_cifar10_jpeg.py builds it from a checkout of its origin"
    )
    folder = "cifar10_jpeg"
    files = MappingProxyType(
        {"cifar10_jpeg.npz": "8290735662275b04de868c07e95eaeebe5fea04dc1f04bfcbc3ae37669e1670e"}
    )
    algorithm = "sha256"

    def load(self, root: Path | None) -> Arrays:
        [(name, sha256)] = self.files.items()
        path = self.find(root) / name
        content = read_bytes(path)
        self.verify(path, name, content)
        return jpeg.decoded(content, path, sha256)
