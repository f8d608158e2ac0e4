"""CIFAR-100 (Krizhevsky 2009) as torchvision stores it: 100 classes, or 20 superclasses."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import MappingProxyType

import numpy as np

from datasets.base import Arrays, FileDataset, register
from datasets.human_labels import HumanLabels


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CLASS_NAMES = _words(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach
    couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster
    house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket
    rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip
    turtle wardrobe whale willow_tree wolf woman worm
    """
)
SUPERCLASS_NAMES = (
    *("aquatic mammals", "fish", "flowers", "food containers", "fruit and vegetables"),
    *("household electrical devices", "household furniture", "insects", "large carnivores"),
    *("large man-made outdoor things", "large natural outdoor scenes"),
    *("large omnivores and herbivores", "medium-sized mammals", "non-insect invertebrates"),
    *("people", "reptiles", "small mammals", "trees", "vehicles 1", "vehicles 2"),
)
SUPERCLASSES = tuple(
    map(
        int,
        _words(
            """
            4 1 14 8 0 6 7 7 18 3 3 14 9 18 7 11 3 9 7 11 6 11 5 10 7 6 13 15 3 15 0 11 1 10 12 14
            16 9 11 5 5 19 8 8 15 13 14 17 18 10 16 4 17 4 2 0 17 4 18 17 10 3 2 12 12 16 12 1 9 19
            2 10 0 1 16 12 9 13 15 13 16 19 2 4 6 19 5 5 8 19 18 1 2 15 6 0 17 8 14 13
            """
        ),
    )
)
"""Superclass of each class, by index."""
_PARTS = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}


class _Cifar100(FileDataset):
    """What both have in common. Files are pickles: each is read only once its MD5 is right."""

    channels = 3
    size = 32
    n_train = 50_000
    n_test = 10_000
    mean = (0.5071, 0.4867, 0.4408)
    std = (0.2675, 0.2565, 0.2761)
    clean_subset = 1_000
    torchvision_class = "CIFAR100"
    folder = "cifar-100-python"
    files = MappingProxyType(_PARTS)
    labels: str
    """Name of the labels in the pickles."""

    def load(self, root: Path | None) -> Arrays:
        folder = self.find(root)
        arrays = []
        for name in _PARTS:
            batch = pickle.loads(self.content(folder, name), encoding="latin1")
            arrays += [batch["data"].reshape(-1, 3, 32, 32), np.array(batch[self.labels], np.int64)]
        return Arrays.of(*arrays)


@register
class Cifar100(_Cifar100):
    """50,000 training and 10,000 test images of 100 classes, from ROOT/cifar-100-python."""

    name = "cifar100"
    display = "CIFAR-100"
    class_names = CLASS_NAMES
    superclasses = SUPERCLASSES
    class_counts = (500,) * 100
    how_to_get = "type `python datasets/download.py cifar100 --data DIR`"
    labels = "fine_labels"
    human_labels = HumanLabels(
        *("CIFAR-100_human.pt", "a67b45c1d7992051865b5c755bd68bb1", "cifar100n", "clean_label"),
        {"fine": "noisy_label"},
    )


@register
class Cifar100Coarse(_Cifar100):
    """CIFAR-100 with its 20 superclasses as classes, from ROOT/cifar-100-python."""

    name = "cifar100_coarse"
    display = "CIFAR-100 (superclasses)"
    class_names = SUPERCLASS_NAMES
    class_counts = (2_500,) * 20
    how_to_get = "type `python datasets/download.py cifar100 --data DIR`"
    labels = "coarse_labels"
    human_labels = HumanLabels(
        *("CIFAR-100_human.pt", "a67b45c1d7992051865b5c755bd68bb1", "cifar100n"),
        *("clean_coarse_label", {"coarse": "noisy_coarse_label"}),
    )
