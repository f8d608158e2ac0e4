"""Data sets kept as JPEG bytes in one npz: decoding, and a cache of the decoded arrays.

The npz holds for `train` and `test`: `<part>_jpeg` (uint8, all JPEG files end to end),
`<part>_offsets` (N + 1) and `<part>_labels` (N,).
"""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path

import numpy as np

from datasets.base import Arrays
from datasets.cache import cache_folders, written

_FIELDS = ("train_images", "train_labels", "test_images", "test_labels")


def decoded(content: bytes, path: Path, sha256: str) -> Arrays:
    """Arrays of an npz of JPEG bytes, from the cache where it is intact.

    Args:
        content: the verified npz.
        path: where it was read; the cache is kept beside it if that folder may be written to.
        sha256: of `content`; part of the cache's file name.
    """
    places = [folder / f"{path.stem}-{sha256[:16]}-decoded.npz" for folder in cache_folders(path)]
    for place in places:
        arrays = _read(place)
        if arrays is not None:
            return arrays
    arrays = _decode(content)
    for place in places:
        if _write(place, arrays):
            break
    return arrays


def _decode(content: bytes) -> Arrays:
    from PIL import Image  # only here: nothing else in the suite needs it for data

    def images(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        pixels = []
        for start, end in itertools.pairwise(offsets):
            with Image.open(io.BytesIO(data[start:end].tobytes())) as image:
                pixels.append(np.asarray(image.convert("RGB")).transpose(2, 0, 1))
        return np.stack(pixels)

    with np.load(io.BytesIO(content), allow_pickle=False) as npz:
        return Arrays.of(
            images(npz["train_jpeg"], npz["train_offsets"]),
            npz["train_labels"],
            images(npz["test_jpeg"], npz["test_offsets"]),
            npz["test_labels"],
        )


def _read(place: Path) -> Arrays | None:
    """The cached arrays, or None if there are none or they are not what was written."""
    try:
        with np.load(place, allow_pickle=False) as npz:
            arrays = Arrays.of(*(npz[name] for name in _FIELDS))
            return arrays if str(npz["sha256"]) == arrays.sha256 else None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _write(place: Path, arrays: Arrays) -> bool:
    fields = {name: getattr(arrays, name) for name in _FIELDS}
    sha256 = np.array(arrays.sha256)
    return written(place, lambda file: np.savez(file, allow_pickle=False, sha256=sha256, **fields))
