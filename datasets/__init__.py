"""The registry of data sets: name -> images, labels and facts. Needs numpy only, never torch."""

from __future__ import annotations

import functools
from pathlib import Path

from datasets import base
from datasets.discovery import import_registered


@functools.cache
def _files() -> dict[str, Path]:
    return import_registered(Path(__file__).parent, "datasets")


def names() -> list[str]:
    """Names of all data sets, sorted."""
    _files()
    return sorted(base.REGISTRY)


def get(name: str) -> base.Dataset:
    """The data set of that name; nothing is read from disk before `check` or `load`.

    Raises:
        KeyError: no data set of that name.
    """
    _files()
    return base.REGISTRY[name]


def source(name: str) -> Path:
    """The file that implements a data set.

    Raises:
        KeyError: no data set of that name.
    """
    return _files()[type(get(name)).__module__]
