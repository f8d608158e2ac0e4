"""Checksums of arrays, and of the columns of a cell's `samples.npz`. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from runners.system.canonical import sha256_of


def array_sha256(*arrays: np.ndarray) -> str:
    """SHA-256 over dtypes, shapes and bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def samples_sha256(samples: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names and contents of the columns of `samples.npz`."""
    return sha256_of({name: array_sha256(column) for name, column in samples.items()})
