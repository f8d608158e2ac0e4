"""Makes the embedded subset from the original Fashion-MNIST files.

    python datasets/make_fashion_mnist_mini.py [--data DIR] [--out FILE]

The rule: of every class the first 1,200 training and the first 300 test images of the official
order, kept in that order. No random number is involved, so any language gives the same images.
The container: an xz stream over six .npy arrays end to end (`ARRAYS` of the loader). The same
liblzma gives the same bytes; what it holds never depends on it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import lzma
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np

import datasets
from datasets.base import DataError
from datasets.fashion_mnist_mini import PER_CLASS_TEST, PER_CLASS_TRAIN

_PRESET = 5  # smaller here than 9, which models longer repeats than 28x28 images have


def payload(root: Path | None) -> bytes:
    """The unpacked container, made from the full data set.

    Args:
        root: data root with the original files, looked in before the usual places.

    Raises:
        DataError: the original files are missing or corrupt.
    """
    full = datasets.get("fashion_mnist").load(root)
    stream = io.BytesIO()
    for images, labels, count in (
        (full.train_images, full.train_labels, PER_CLASS_TRAIN),
        (full.test_images, full.test_labels, PER_CLASS_TEST),
    ):
        index = first_of_each_class(labels, count)
        for array in (images[index], labels[index].astype(np.uint8), index.astype("<u2")):
            np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def pack(content: bytes) -> bytes:
    """The container as it is stored: one xz stream."""
    return lzma.compress(content, preset=_PRESET)


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Sorted positions of the first `count` samples of every class, int64."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="data root with the original files")
    out = ROOT / "datasets" / "embedded" / "fashion_mnist_mini.xz"
    parser.add_argument("--out", type=Path, default=out, help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        packed = pack(payload(arguments.data))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    temporary = arguments.out.with_name(f"{arguments.out.name}.tmp{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(arguments.out)
    print(f"{arguments.out}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
