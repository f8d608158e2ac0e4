"""Clothing1M (Xiao et al., CVPR 2015): a million pictures of clothes, labels out of shop texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from datasets.base import DataError, register
from datasets.listed import ListedDataset
from datasets.listing import Listing, first_of, lines_of, part_of, path_and_label
from datasets.packed import Packed, PackedImages

CLASS_NAMES = (
    *("T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker"),
    *("Jacket", "Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear"),
)


@register
class Clothing1M(ListedDataset):
    """1,000,000 training images of 14 classes, about 38.5 % of their labels wrong (as published).

    Nobody has said which, so use it with `noise: given`. Test: the 10,526 images of
    clean_test_key_list.txt; clean set of its own: the 14,313 of clean_val_key_list.txt. The
    training part is the list noisy_train_key_list.txt (noisy_label_kv.txt has more keys) without
    images of the clean parts. Lists lie beside the folder `images` or in `annotations`; keys begin
    with `images/` or not.
    """

    name = "clothing1m"
    display = "Clothing1M"
    class_names = CLASS_NAMES
    size = 224
    n_train = 1_000_000
    n_test = 10_526
    own_clean_counts = (
        *(1221, 891, 735, 1562, 1259, 1147, 785),
        *(435, 1362, 1021, 704, 944, 1145, 1102),
    )
    clean_subset = 5_000  # MetaLabelNet, arXiv 2103.10869
    folders = ("clothing1m", "Clothing1M")
    published: Mapping[str, int] = MappingProxyType(
        {"train": 1_000_000, "clean": 14_313, "test": 10_526}
    )
    how_to_get = "ask the authors for it (github.com/Cysu/noisy_label) and unpack it there"

    def listed(self, folder: Path) -> Listing:
        notes: list[str] = []
        keys = {
            part: _keys(_list(folder, f"{name}_key_list.txt"))
            for part, name in (
                *(("train", "noisy_train"), ("clean", "clean_val"), ("test", "clean_test")),
                ("clean_train", "clean_train"),
            )
        }
        labels = {
            kind: dict(
                (_key(path), label)
                for path, label in path_and_label(
                    _list(folder, f"{kind}_label_kv.txt"), len(CLASS_NAMES), notes
                )
            )
            for kind in ("noisy", "clean")
        }
        clean = [*keys["clean"], *keys["test"], *keys["clean_train"]]
        parts = {}
        for part, kind, without in (
            ("train", "noisy", clean),
            ("clean", "clean", keys["test"]),
            ("test", "clean", ()),
        ):
            known = labels[kind]
            bare = [key for key in keys[part] if key not in known]
            if len(bare) > 0.01 * len(keys[part]):
                where = f"{kind}_label_kv.txt"
                raise DataError(f"{where} has no label of {len(bare):,} images of {part}")
            if bare:
                notes.append(f"{part}: {len(bare):,} images have no label, the first is {bare[0]}")
            pairs: Iterator[tuple[str, int]] = ((k, known[k]) for k in keys[part] if k in known)
            parts[part] = part_of(part, folder, pairs, notes, without=without)
        return Listing(parts, notes)

    def chosen(self, packed: Packed) -> dict[str, PackedImages]:
        return {part: packed.images(part) for part in ("train", "test", "clean")}


def _list(folder: Path, name: str) -> Path:
    return first_of([folder / name, folder / "annotations" / name], name)


def _keys(path: Path) -> list[str]:
    return [_key(line) for line in lines_of(path)]


def _key(path: str) -> str:
    """The key as the authors have it; some copies cut off its first folder."""
    return path if path.startswith("images/") else f"images/{path}"
