"""The stored labels of a study: one file for each draw, shared by the cells that were given it."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import NO_CLASS
from datasets.noise.statistics import labels_sha256
from runners.cell.noisy_labels import NoisyLabels
from runners.results.provenance import fingerprint
from runners.results.sources import label_sources
from runners.system.files import write_atomically

if TYPE_CHECKING:
    from runners.study.cell import Cell


UNREADABLE = (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError, MemoryError)
UNREADABLE += (zipfile.BadZipFile, zlib.error)
"""What numpy raises on a file that is no archive of arrays, or a damaged one."""


def store_labels(folder: Path, cell: Cell, noisy: NoisyLabels) -> Path:
    """Stores the labels of a cell unless the same ones are stored already; returns the file.

    Its name ends in the first digits of the fingerprint of the code that drew them: the labels of
    older code stay beside the records that name them.

    Args:
        folder: the study's `noise` folder.
    """
    code = fingerprint(label_sources(cell))
    path = folder / f"{cell.dataset}__{cell.noise_slug}__s{cell.seed}__{code[:8]}.npz"
    if not _holds(path, noisy.sha256):
        content = {"labels": noisy.labels, "sha256": noisy.sha256, "fingerprint": code}
        if (noisy.truth == NO_CLASS).any():
            content["no_true_class"] = noisy.truth == NO_CLASS
        write_atomically(path, lambda file: np.savez_compressed(file, **content))
    return path


def _holds(path: Path, digest: str) -> bool:
    """Whether a file is there, whole, and holds the labels with this checksum."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return labels_sha256(file["labels"]) == digest
    except UNREADABLE:
        return False
