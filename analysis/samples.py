"""The samples of a cell: what was measured of each image, as `samples.npz` holds it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runners.results.samples import samples_sha256

# what numpy raises on files that are no archive of arrays, or a damaged one
UNREADABLE = (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError, MemoryError)
UNREADABLE += (zipfile.BadZipFile, zlib.error)


def load(path: Path) -> dict[str, np.ndarray]:
    """The columns of a file.

    Raises:
        one of UNREADABLE: it is no archive of arrays.
    """
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def read(path: Path, record: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """The columns of a cell; None where they are not those that its record was written with."""
    try:
        columns = load(path)
    except UNREADABLE:
        return None
    return columns if samples_sha256(columns) == record.get("samples_sha256") else None
