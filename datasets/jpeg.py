"""Data sets kept as JPEG bytes in one npz: decoding, and a cache of the decoded arrays.

The npz holds for `train` and `test`: `<part>_jpeg` (uint8, all JPEG files end to end),
`<part>_offsets` (N + 1) and `<part>_labels` (N,).
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import zipfile
from pathlib import Path

import numpy as np

from datasets.base import Arrays

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


def cache_folders(path: Path) -> list[Path]:
    """Folders for the cache in order of preference."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folders = [Path(cache).expanduser() / "noisy-label-suite"]
    # The mode bits are asked too: an administrator may write anywhere, but a folder without any
    # write permission was closed on purpose.
    if os.access(path.parent, os.W_OK) and path.parent.stat().st_mode & 0o222:
        folders.insert(0, path.parent)
    return folders


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
    """Whether the cache could be written; a full or read-only disk is no reason to stop."""
    temporary = place.with_name(f"{place.name}.tmp{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            fields = {name: getattr(arrays, name) for name in _FIELDS}
            np.savez(file, allow_pickle=False, sha256=np.array(arrays.sha256), **fields)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True
