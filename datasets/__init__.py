"""The data sets: name -> images, labels and facts. Needs numpy and pydantic only, never torch."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets.base import Dataset
from datasets.registry import Registry, shadowed


def _problem(entry: Any) -> str | None:
    is_class = isinstance(entry, type) and issubclass(entry, Dataset)
    return None if is_class else "must be a subclass of datasets.base.Dataset"


REGISTRY = Registry("a data set", Path(__file__).parent, "datasets", _problem)
names, source = REGISTRY.names, REGISTRY.source


def get(name: str, parameters: Mapping[str, Any] | None = None) -> Dataset:
    """The data set of that name; nothing is read from disk before `check` or `load`.

    Args:
        name: one of `names()`, or `package.module:Class`.
        parameters: values of its `Parameters`.

    Raises:
        KeyError: no data set of that name.
        ImportError: one from outside cannot be imported.
        pydantic.ValidationError: it has no such parameters.
    """
    return _instance(name, json.dumps(dict(parameters or {}), sort_keys=True))


@functools.cache
def _instance(name: str, parameters: str) -> Dataset:
    kind = REGISTRY.load(name)
    return kind(kind.Parameters(**json.loads(parameters)))


def of(config: str | Mapping[str, Any], places: Mapping[str, str] | None = None) -> Dataset:
    """The data set of a cell's config: its name, or a mapping with `name` and parameters.

    Args:
        places: values of the parameters that are paths, for which the config has a `label`.
    """
    if isinstance(config, str):
        return get(config)
    return get(config["name"], parameters(config, places))


def parameters(config: Mapping[str, Any], places: Mapping[str, str] | None) -> dict[str, Any]:
    """The parameters of an entry of a study, paths among them; see `of`."""
    own = {"name", "label"} if places else {"name"}
    return {key: value for key, value in config.items() if key not in own} | dict(places or {})


def forget() -> None:
    """Makes `get` look at the files of a person's own data again."""
    _instance.cache_clear()


def __getattr__(name: str) -> Any:
    """Whoever asks for what is not here takes this package for another one of its name."""
    raise AttributeError(shadowed("datasets", f"it has no {name}"), name=name)
