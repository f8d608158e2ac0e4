"""The registry of noise models: one file each. Needs numpy and pydantic only, never torch."""

from __future__ import annotations

import functools
from pathlib import Path

from datasets.discovery import import_registered
from datasets.noise import base


@functools.cache
def _files() -> dict[str, Path]:
    return import_registered(Path(__file__).parent, "datasets.noise")


def names() -> list[str]:
    """Names of all noise models, sorted."""
    _files()
    return sorted(base.REGISTRY)


def get(name: str) -> type[base.NoiseModel]:
    """The class of that noise model: a pydantic model of its parameters.

    Raises:
        KeyError: no noise model of that name.
    """
    _files()
    return base.REGISTRY[name]


def source(name: str) -> Path:
    """The file that implements a noise model.

    Raises:
        KeyError: no noise model of that name.
    """
    return _files()[get(name).__module__]
