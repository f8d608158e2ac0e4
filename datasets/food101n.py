"""Food-101N (Lee et al., CVPR 2018): dishes with labels of a search engine; tested on Food-101."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from pydantic import Field

from datasets.base import DataError, register
from datasets.listed import ListedDataset
from datasets.listed import Parameters as ListedParameters
from datasets.listing import Listing, Part, first_of, lines_of, part_of, without_header
from datasets.packed import Packed, PackedImages

CLASS_NAMES = tuple(
    """
    apple_pie baby_back_ribs baklava beef_carpaccio beef_tartare beet_salad beignets bibimbap
    bread_pudding breakfast_burrito bruschetta caesar_salad cannoli caprese_salad carrot_cake
    ceviche cheese_plate cheesecake chicken_curry chicken_quesadilla chicken_wings chocolate_cake
    chocolate_mousse churros clam_chowder club_sandwich crab_cakes creme_brulee croque_madame
    cup_cakes deviled_eggs donuts dumplings edamame eggs_benedict escargots falafel filet_mignon
    fish_and_chips foie_gras french_fries french_onion_soup french_toast fried_calamari fried_rice
    frozen_yogurt garlic_bread gnocchi greek_salad grilled_cheese_sandwich grilled_salmon guacamole
    gyoza hamburger hot_and_sour_soup hot_dog huevos_rancheros hummus ice_cream lasagna
    lobster_bisque lobster_roll_sandwich macaroni_and_cheese macarons miso_soup mussels nachos
    omelette onion_rings oysters pad_thai paella pancakes panna_cotta peking_duck pho pizza
    pork_chop poutine prime_rib pulled_pork_sandwich ramen ravioli red_velvet_cake risotto samosa
    sashimi scallops seaweed_salad shrimp_and_grits spaghetti_bolognese spaghetti_carbonara
    spring_rolls steak strawberry_shortcake sushi tacos takoyaki tiramisu tuna_tartare waffles
    """.split()  # noqa: SIM905 (as a list it would fill a screen)
)
"""Sorted, as torchvision numbers them."""
HEADER = "class_name/key"


class Parameters(ListedParameters):
    """How the images are stored, and what is trained and tested on."""

    split: Literal["food101", "metalabelnet"] = Field(
        "food101",
        description="food101: train on all of Food-101N, test on the test part of Food-101. "
        "metalabelnet: that paper's own: test on verified images of Food-101N, clean images out of "
        "Food-101's training part; not to be compared with other papers.",
    )


@register
class Food101N(ListedDataset):
    """310,009 training images of 101 dishes, about 20 % of their labels wrong (as published).

    Of 52,868 of them (verified_train.tsv) and 4,741 more (verified_val.tsv) people said whether the
    label is right: the clean subset comes out of those that are. Test: the 25,250 test images of
    Food-101. With `split: metalabelnet` those in verified_val.tsv are no training images, and those
    of them that are right the test set; the clean set is Food-101's training part (the paper's code
    takes test images into it too). Read from ROOT/Food-101N_release and ROOT/food-101.
    """

    name = "food101n"
    display = "Food-101N"
    Parameters = Parameters
    class_names = CLASS_NAMES
    size = 224
    n_train = 310_009
    n_test = 25_250
    truth = "some"
    clean_subset = 5_050
    folders = ("Food-101N_release", "food101n", "food-101n")
    published: Mapping[str, int] = MappingProxyType(
        {"train": 305_268, "val": 4_741, "test": 25_250, "clean": 75_750}
    )
    how_to_get = "ask for it at kuanghuei.github.io/Food-101N; Food-101 comes from torchvision"

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        if self.parameters.split == "metalabelnet":
            self.n_train = self.published["train"]
            self.n_test = None  # nobody has published how many of them are right
            each = self.published["clean"] // len(CLASS_NAMES)
            self.own_clean_counts = (each,) * len(CLASS_NAMES)

    def listed(self, folder: Path) -> Listing:
        notes: list[str] = []
        folder = first_of([folder / "Food-101N_release", folder], "Food-101N")
        clean = first_of([folder.parent / "food-101", folder / "food-101"], "Food-101 (food-101)")
        meta, images = folder / "meta", folder / "images"
        _check_names(meta / "classes.txt")
        pairs = list(_labelled(meta / "imagelist.tsv", ""))
        for_training = _verified(meta / "verified_train.tsv")
        held_out = _verified(meta / "verified_val.tsv")
        keys = {key for key, _ in pairs}
        if lost := sorted((for_training.keys() | held_out.keys()) - keys):
            # Joined by class and name: the release has an image that is listed under another class.
            notes.append(
                f"verified: {len(lost):,} images are not in imagelist.tsv under that class, such "
                f"as {lost[0]}: nothing is known of them"
            )
        rest = [pair for pair in pairs if pair[0] not in held_out]
        val = [pair for pair in pairs if pair[0] in held_out]
        parts = {
            "train": part_of("train", images, rest, notes, verified=for_training),
            "val": part_of("val", images, val, notes, verified=held_out),
            "test": _food101(clean, "test", notes),
            "clean": _food101(clean, "train", notes),
        }
        return Listing(parts, notes)

    def chosen(self, packed: Packed) -> dict[str, PackedImages]:
        train, val = packed.images("train"), packed.images("val")
        if self.parameters.split == "food101":
            return {"train": train + val, "test": packed.images("test")}
        right = np.flatnonzero(val.verified == 1)
        return {"train": train, "test": val[right], "clean": packed.images("clean")}


def _check_names(path: Path) -> None:
    """Raises a DataError if the classes (with or without a line above them) are others."""
    names = without_header(lines_of(path), HEADER, "class_name")
    if odd := sorted(set(names) ^ set(CLASS_NAMES)):
        raise DataError(f"{path}: {odd[0]!r} is there or missing: must be the 101 classes")


def _labelled(path: Path, ending: str) -> Iterator[tuple[str, int]]:
    """Keys "class/name" of a list, with their ending and their label."""
    numbers = {name: number for number, name in enumerate(CLASS_NAMES)}
    for key in without_header(lines_of(path), HEADER):
        name = key.partition("/")[0]
        if name not in numbers:
            raise DataError(f"{path}: {key!r} must begin with one of the 101 classes and a /")
        yield key + ending, numbers[name]


def _verified(path: Path) -> dict[str, int]:
    """Key -> 1 where people found its label right, 0 where wrong."""
    found = {}
    for line in without_header(lines_of(path), HEADER):
        key, _, verdict = line.rpartition("\t")
        if verdict not in ("0", "1"):
            raise DataError(f"{path}: {line!r} must end in a tab and 0 or 1")
        found[key] = int(verdict)
    return found


def _food101(folder: Path, part: str, notes: list[str]) -> Part:
    """A part of Food-101, whose lists have no line above them and no ending of files."""
    pairs = _labelled(folder / "meta" / f"{part}.txt", ".jpg")
    return part_of(part, folder / "images", pairs, notes)
