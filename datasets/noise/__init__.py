"""The noise models: one file each. Needs numpy and pydantic only, never torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import parameters
from datasets.noise.base import NoiseModel
from datasets.registry import Registry


def _problem(entry: Any) -> str | None:
    is_class = isinstance(entry, type) and issubclass(entry, NoiseModel)
    return None if is_class else "must be a subclass of datasets.noise.base.NoiseModel"


REGISTRY = Registry("a noise model", Path(__file__).parent, "datasets.noise", _problem)
names, source = REGISTRY.names, REGISTRY.source


def get(name: str) -> type[NoiseModel]:
    """The class of that noise model: a pydantic model of its parameters.

    Raises:
        KeyError: no noise model of that name.
        ImportError: one from outside cannot be imported.
    """
    return REGISTRY.load(name)


def of(config: Mapping[str, Any], places: Mapping[str, str] | None = None) -> NoiseModel:
    """The noise model of a cell's config, a mapping with `name` and parameters.

    Args:
        places: values of the parameters that are paths, for which the config has a `label`.
    """
    return get(config["name"])(**parameters(config, places))
