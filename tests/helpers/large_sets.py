"""Faithful miniatures of data sets that are too large to ship: their layouts, lists and traps."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import datasets
from datasets import clothing1m, food101n, mini_webvision, prepare
from datasets.base import Arrays
from datasets.check_arrays import checked

SIZE, STORED = 28, 32
"""Of the miniatures' views and stored images, in pixels."""
SHAPES = ((48, 36), (40, 40), (36, 60))


def picture(label: int, number: int, classes: int = 14, mode: str = "RGB") -> Image.Image:
    """A noisy picture in the colour of its class."""
    rng = np.random.default_rng([label, number])
    shape = SHAPES[number % len(SHAPES)]
    colour = 255 * np.array(colorsys.hsv_to_rgb(label / classes, 0.8, 0.8))
    pixels = colour + rng.normal(0, 25, (*shape, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


def write_picture(path: Path, label: int, number: int, classes: int = 14, **how: Any) -> None:
    """A JPEG file; `mode` and what Pillow's `save` takes may be given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = picture(label, number, classes, how.pop("mode", "RGB"))
    image.save(path, "JPEG", **how)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def clothing(folder: Path, monkeypatch: Any, per_class: int = 8, prefix: bool = True) -> Path:
    """ROOT/clothing1m: noisy images, clean_val and clean_test two of each class, clean_train one.

    A quarter of the noisy labels is wrong. One noisy image has a clean label too, and is in
    clean_val; noisy_label_kv.txt has keys that the list lacks; there is a grey, a CMYK and a turned
    image; names hold commas.
    """
    root = folder / "clothing1m"
    classes, number = 14, 0
    noisy, clean, lists = {}, {}, {name: [] for name in ("noisy_train", *_CLEAN)}
    counts = {"noisy_train": per_class, "clean_val": 2, "clean_test": 2, "clean_train": 1}
    for name, count in counts.items():
        for label in range(classes):
            for k in range(count):
                key = f"images/{number % 10}/{number % 100:02}/{number:08},{7 * number}.jpg"
                how: dict[str, Any] = {"mode": {3: "L", 4: "CMYK"}.get(number, "RGB")}
                if number == 5:
                    how["exif"] = _turned()
                write_picture(root / key, label, number, **how)
                given = (label + 1) % classes if k % 4 == 3 else label
                if name == "noisy_train":
                    noisy[key] = given
                else:
                    clean[key] = label
                lists[name].append(key)
                number += 1
    twice = lists["clean_val"][0]
    noisy[twice] = 13
    lists["noisy_train"].append(twice)
    noisy["images/9/99/not,listed.jpg"] = 2
    cut = len("images/") if not prefix else 0
    for name, keys in lists.items():
        write_lines(root / f"{name}_key_list.txt", (key[cut:] for key in keys))
    for name, labels in (("noisy", noisy), ("clean", clean)):
        lines = (f"{key[cut:]} {label}" for key, label in labels.items())
        write_lines(root / f"{name}_label_kv.txt", lines)
    _set(
        monkeypatch,
        clothing1m.Clothing1M,
        published={"train": classes * per_class, "clean": 28, "test": 28},
        n_train=classes * per_class,
        n_test=28,
        own_clean_counts=(2,) * classes,
        clean_subset=28,
    )
    return root


_CLEAN = ("clean_train", "clean_val", "clean_test")


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def food(folder: Path, monkeypatch: Any, per_class: int = 4) -> Path:
    """ROOT/Food-101N_release and ROOT/food-101: of each class `per_class` images, one verified for
    training and one for validation; every third verdict is that the label is wrong.

    One image is verified under another class than it is listed under.
    """
    root, clean = folder / "Food-101N_release", folder / "food-101"
    names = food101n.CLASS_NAMES
    images, verified = [], {"train": [], "val": []}
    for label, name in enumerate(names):
        for k in range(per_class):
            key = f"{name}/{label:03}{k:05}.jpg"
            images.append(key)
            write_picture(root / "images" / key, label, k, len(names))
            if k < 2:
                verified["train" if k == 0 else "val"].append(f"{key}\t{int(label % 3 > 0)}")
    verified["train"].append(f"hot_and_sour_soup/{images[148].rpartition('/')[2]}\t0")
    write_lines(root / "meta" / "imagelist.tsv", ["class_name/key", *images])
    write_lines(root / "meta" / "classes.txt", ["class_name", *names])
    for which, lines in verified.items():
        head = "class_name/key\tverification_label"
        write_lines(root / "meta" / f"verified_{which}.tsv", [head, *lines])
    for part, first in (("train", 100), ("test", 200)):
        lines = []
        for label, name in enumerate(names):
            lines.append(f"{name}/{first + label}")
            write_picture(clean / "images" / f"{lines[-1]}.jpg", label, first, len(names))
        write_lines(clean / "meta" / f"{part}.txt", lines)
    count = len(names)
    published = {"train": count * (per_class - 1), "val": count, "test": count, "clean": count}
    counts = {"n_train": count * per_class, "n_test": count, "clean_subset": count}
    _set(monkeypatch, food101n.Food101N, published=published, **counts)
    return root


def webvision(
    folder: Path, monkeypatch: Any, per_class: int = 3, val: int = 2, numbered: bool = False
) -> Path:
    """ROOT/webvision with ImageNet beside it; labels beyond 49, a line that comes twice, an image
    with two labels, a path with a blank."""
    root, classes = folder / "webvision", 50
    train, validation = [], []
    for label in range(classes):
        for k in range(per_class):
            path = f"google/q{label + 1:04}/a picture {k}.jpg"
            write_picture(root / path, label, k, classes)
            train.append(f"{path} {label}")
        for k in range(val):
            validation.append(f"val{label:03}{k:03}.jpg {label}")
            path = root / "val_images_256" / validation[-1].partition(" ")[0]
            write_picture(path, label, 100 + k, classes)
        name = str(label) if numbered else mini_webvision.WORDNET[label]
        for k in range(2):
            path = folder / "imagenet" / "val" / name / f"ILSVRC2012_val_{k}.JPEG"
            write_picture(path, label, 200 + k, classes)
    train += ["google/q0900/x.jpg 50", "google/q0999/y.jpg 999", train[0], train[1][:-1] + "7"]
    write_lines(root / "info" / "train_filelist_google.txt", train)
    write_lines(root / "info" / "val_filelist.txt", [*validation, "val999.jpg 999"])
    synsets = [*mini_webvision.SYNSETS, "n01698640 American alligator"]
    write_lines(root / "info" / "synsets.txt", synsets)
    _set(
        monkeypatch,
        mini_webvision.MiniWebVision,
        published={"train": classes * per_class, "test": classes * val, "imagenet": classes * 2},
        n_train=classes * per_class,
        n_test=classes * val,
    )
    return root


def _set(monkeypatch: Any, kind: type, **attributes: Any) -> None:
    """Declares the miniature's numbers in place of the published ones."""
    for name, value in {"size": SIZE, **attributes}.items():
        monkeypatch.setattr(kind, name, value)


def as_array(content: bytes) -> np.ndarray:
    """Pixels uint8 (H, W, C) of an image file."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


LAYOUTS = {"clothing1m": clothing, "food101n": food, "mini_webvision": webvision}


def prepared(name: str, root: Path, *arguments: str) -> int:
    """The exit code of packing a miniature."""
    return prepare.main([name, "--data", str(root), "--size", str(STORED), *arguments])


def arrays(name: str, root: Path, **parameters: Any) -> Arrays:
    """What a packed miniature gives, checked."""
    dataset = datasets.get(name, {"stored": STORED, **parameters})
    return checked(dataset.load(root), dataset)
