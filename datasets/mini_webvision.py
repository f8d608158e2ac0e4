"""mini-WebVision: the first 50 classes of WebVision 1.0 (Li et al., 2017), Google's pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from pydantic import Field

from datasets.base import DataError, register
from datasets.folder.rows import natural
from datasets.listed import ListedDataset
from datasets.listed import Parameters as ListedParameters
from datasets.listing import Listing, Part, first_of, lines_of, part_of, path_and_label
from datasets.packed import Packed, PackedImages

SYNSETS = """
n01440764 tench
n01443537 goldfish
n01484850 great white shark
n01491361 tiger shark
n01494475 hammerhead
n01496331 electric ray
n01498041 stingray
n01514668 cock
n01514859 hen
n01518878 ostrich
n01530575 brambling
n01531178 goldfinch
n01532829 house finch
n01534433 junco
n01537544 indigo bunting
n01558993 robin
n01560419 bulbul
n01580077 jay
n01582220 magpie
n01592084 chickadee
n01601694 water ouzel
n01608432 kite
n01614925 bald eagle
n01616318 vulture
n01622779 great grey owl
n01629819 European fire salamander
n01630670 common newt
n01631663 eft
n01632458 spotted salamander
n01632777 axolotl
n01641577 bullfrog
n01644373 tree frog
n01644900 tailed frog
n01664065 loggerhead
n01665541 leatherback turtle
n01667114 mud turtle
n01667778 terrapin
n01669191 box turtle
n01675722 banded gecko
n01677366 common iguana
n01682714 American chameleon
n01685808 whiptail
n01687978 agama
n01688243 frilled lizard
n01689811 alligator lizard
n01692333 Gila monster
n01693334 green lizard
n01694178 African chameleon
n01695060 Komodo dragon
n01697457 African crocodile
""".strip().splitlines()
"""WordNet number and name of the 50 classes, in their order."""
WORDNET, CLASS_NAMES = zip(*(line.split(" ", 1) for line in SYNSETS), strict=True)
ALL = 1000
"""Classes of the whole WebVision; labels below 50 are those of the mini version."""
CLEAN_OF_A_CLASS = 20
"""Validation images of each class that `split: metalabelnet` takes as clean set."""
PICTURES = (".jpg", ".jpeg", ".png")


class Parameters(ListedParameters):
    """How the images are stored, and what is tested on."""

    stored: int = Field(320, ge=32, le=1024, description="Short side of the stored images.")
    split: Literal["webvision", "imagenet", "metalabelnet"] = Field(
        "webvision",
        description="Test images: webvision's 2,500 validation images, the 2,500 of ImageNet of "
        "the same classes, or metalabelnet: 1,500 of webvision's, the other 1,000 are a clean set.",
    )


@register
class MiniWebVision(ListedDataset):
    """65,944 training images of 50 classes out of Google's picture search, labels as they came.

    Test: WebVision's own 2,500 validation images, or with `split: imagenet` those of ILSVRC 2012.
    The field reports both: two entries of a study, each trained by itself. There is no clean set,
    but for `split: metalabelnet`: 20 validation images of each class, chosen by the checksum of
    their name (the paper draws 1,000). Read from ROOT/webvision: `info/train_filelist_google.txt`,
    `info/val_filelist.txt`, `google/`, `val_images/` or `val_images_256/`; ImageNet from
    `imagenet/val/` beside or in it, a folder a class, called by WordNet number or 0 to 49.
    """

    name = "mini_webvision"
    display = "mini-WebVision"
    Parameters = Parameters
    class_names = CLASS_NAMES
    size = 299
    n_train = 65_944
    n_test = 2_500
    folders = ("webvision", "WebVision", "mini_webvision")
    published: Mapping[str, int] = MappingProxyType(
        {"train": 65_944, "test": 2_500, "imagenet": 2_500}
    )
    how_to_get = "fetch WebVision 1.0 (google, val_images, info) from data.vision.ee.ethz.ch/cvl"

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        if self.parameters.split == "metalabelnet":
            self.n_test = 1_500
            self.own_clean_counts = (CLEAN_OF_A_CLASS,) * len(CLASS_NAMES)
            self.clean_subset = 1_000

    @property
    def default_network(self) -> str:
        return "inception_resnet_v2"

    @property
    def augment(self) -> str:
        return "resized_crop_flip"

    def listed(self, folder: Path) -> Listing:
        notes: list[str] = []
        info = first_of([folder / "info"], "info of WebVision")
        _check_order(info / "synsets.txt", notes)
        train = _mini(info / "train_filelist_google.txt", notes)
        val = _mini(info / "val_filelist.txt", notes)
        places = [folder / "val_images_256", folder / "val_images"]
        images = first_of(places, "validation images of WebVision")
        parts = {
            "train": part_of("train", folder, train, notes),
            "test": part_of("test", images, [(Path(p).name, k) for p, k in val], notes),
        }
        imagenet = [folder / "imagenet" / "val", folder.parent / "imagenet" / "val"]
        if any(place.is_dir() for place in imagenet):
            parts["imagenet"] = _imagenet(first_of(imagenet, "imagenet"), notes)
        else:
            notes.append("imagenet/val is not there: split imagenet cannot be used")
        return Listing(parts, notes)

    def chosen(self, packed: Packed) -> dict[str, PackedImages]:
        train, split = packed.images("train"), self.parameters.split
        if split != "metalabelnet":
            test = packed.images("imagenet" if split == "imagenet" else "test")
            return {"train": train, "test": test}
        val, clean = packed.images("test"), _chosen_clean(packed)
        parts = {"test": np.flatnonzero(~clean), "clean": np.flatnonzero(clean)}
        return {"train": train} | {name: val[chosen] for name, chosen in parts.items()}


def _mini(path: Path, notes: list[str]) -> list[tuple[str, int]]:
    """The lines of a list whose label is one of the 50 classes."""
    return [pair for pair in path_and_label(path, ALL, notes) if pair[1] < len(CLASS_NAMES)]


def _check_order(path: Path, notes: list[str]) -> None:
    """Raises a DataError if the classes of a copy have another order."""
    if not path.is_file():
        notes.append("info/synsets.txt is not there: the order of classes could not be compared")
        return
    found = [line.split()[0] for line in lines_of(path)[: len(WORDNET)]]
    if found != list(WORDNET):
        k = next(k for k, name in enumerate(WORDNET) if found[k : k + 1] != [name])
        raise DataError(f"{path}, line {k + 1}: must be {WORDNET[k]} ({CLASS_NAMES[k]})")


def _imagenet(folder: Path, notes: list[str]) -> Part:
    """The validation images of ILSVRC 2012 of the 50 classes, in folders."""
    names = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    by_number = [str(k) for k in range(len(WORDNET))]
    chosen = next((each for each in (list(WORDNET), by_number) if names.issuperset(each)), None)
    if chosen is None:
        raise DataError(f"{folder}: must have a folder for each class, n01440764 ... or 0 to 49")
    samples = [
        (f"{name}/{file.name}", label)
        for label, name in enumerate(chosen)
        for file in sorted((folder / name).iterdir(), key=lambda file: natural(file.name))
        if file.suffix.lower() in PICTURES
    ]
    return part_of("imagenet", folder, samples, notes)


def _chosen_clean(packed: Packed) -> np.ndarray:
    """Which validation images are the clean set: bool (N,)."""
    paths, labels = packed.paths("test"), packed.images("test").labels
    digests = np.array([hashlib.sha256(path.encode()).hexdigest() for path in paths])
    clean = np.zeros(len(paths), bool)
    for label in range(len(CLASS_NAMES)):
        members = np.flatnonzero(labels == label)
        clean[members[np.argsort(digests[members])][:CLEAN_OF_A_CLASS]] = True
    return clean
