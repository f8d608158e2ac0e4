"""Expands the noise and method entries of a study: names, variants, and lists that multiply."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import datasets
import methods
from datasets import noise
from datasets.base import DataError, Dataset
from datasets.noise.base import NoiseModel
from datasets.paths import path_fields
from datasets.registry import Registry, is_outside
from methods.declaration import Declaration
from runners.study.problems import Problems
from runners.study.values import checked, multiplied, suffix
from runners.system.names import NAME_ALLOWED, is_name

LONGEST_DISPLAY = 64


@dataclass(frozen=True)
class DatasetEntry:
    """One data set: its name in folders and tables, and its config: a name, or with parameters.

    `places` are the parameters that are paths, for which the config has the label.
    """

    label: str
    config: str | dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)

    @property
    def dataset(self) -> Dataset:
        return datasets.of(self.config, self.places)


@dataclass(frozen=True)
class NoiseEntry:
    """One noise setting: resolved parameters (with `name`), folder name, table name, and paths."""

    params: dict[str, Any]
    slug: str
    display: str
    places: dict[str, str] = field(default_factory=dict)

    @property
    def model(self) -> NoiseModel:
        return noise.of(self.params, self.places)


@dataclass(frozen=True)
class MethodEntry:
    """One method or variant; `named` holds the hyper-parameters that the study itself names."""

    label: str
    display: str
    declaration: Declaration
    method: str
    named: dict[str, Any]


@dataclass(frozen=True)
class _Setting:
    """One combination of the lists of an entry: label and display if given, and checked values."""

    where: str
    name: str
    label: str | None
    values: dict[str, Any]
    varying: list[str]
    display: str | None = None
    places: dict[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """What stands for the paths where no label is given; empty without paths."""
        return "-".join(Path(place).stem for place in self.places.values())

    def suffix(self, keys: Iterable[str]) -> str:
        return "".join(suffix(key, self.values[key]) for key in keys)


def dataset_entries(raw: list[Any], base: Path, problems: Problems) -> list[DatasetEntry]:
    """The data sets of `axes.dataset`; what is wrong is noted in `problems`.

    Args:
        base: the folder that paths are relative to.
    """
    entries = []
    registry = datasets.REGISTRY
    for each in _settings("axes.dataset", raw, registry, _parameters, base, problems):
        label = each.label or each.stem or _short(each.name)
        if _is_label(label, each.where, problems):
            named = {"name": each.name, **({"label": label} if each.places else {})}
            config = named | each.values if each.values or each.places else each.name
            entry = DatasetEntry(label, config, each.places)
            try:
                _ = entry.dataset  # of own files the facts are read now
            except DataError as error:
                problems.add(each.where, str(error))
                continue
            entries.append(entry)
    return entries


def _parameters(name: str) -> type[BaseModel]:
    return datasets.REGISTRY.load(name).Parameters


def noise_entries(raw: list[Any], base: Path, problems: Problems) -> list[NoiseEntry]:
    """The noise settings of `axes.noise`; arguments as of `dataset_entries`."""
    entries = []
    for each in _settings("axes.noise", raw, noise.REGISTRY, noise.get, base, problems):
        label = each.label or (each.places and f"{_short(each.name)}-{each.stem}")
        if label and not _is_label(label, each.where, problems):
            continue
        named = {"name": each.name, **({"label": label} if each.places else {})}
        entry = NoiseEntry(named | each.values, label, label, each.places)
        if not label:
            entry = replace(entry, slug=entry.model.slug, display=entry.model.display)
        if label or _is_label(entry.slug, each.where, problems):
            entries.append(entry)
    return entries


def method_entries(raw: list[Any], base: Path, problems: Problems) -> list[MethodEntry]:
    """The methods and variants of `axes.method`; arguments as of `dataset_entries`."""
    entries = []
    for each in _settings("axes.method", raw, methods.REGISTRY, _hparams, base, problems):
        declaration = methods.declaration(each.name)
        label = each.label or _short(each.name) + each.suffix(each.values)
        if _is_label(label, each.where, problems):
            display = label if each.label or each.values else declaration.display
            if each.display is not None:
                display = each.display + "".join(f" {k}={each.values[k]}" for k in each.varying)
            entries.append(MethodEntry(label, display, declaration, each.name, each.values))
    return entries


def _hparams(name: str) -> type[BaseModel]:
    return methods.declaration(name).hparams


def _settings(
    axis: str,
    raw: list[Any],
    registry: Registry,
    model_of: Callable[[str], type[BaseModel]],
    base: Path,
    problems: Problems,
) -> Iterator[_Setting]:
    """Every combination of the lists in every entry of an axis, once its values are allowed."""
    for index, entry in enumerate(raw):
        where = f"{axis}[{index}]"
        given = _as_mapping(entry, where, registry, problems)
        label = given.get("label")
        if label is not None and not _is_label(label, where, problems):
            continue
        display = given.get("display") if registry is methods.REGISTRY else None
        if display is not None and not _is_display(display, where, problems):
            continue
        own = {"name", "label", "display"} if registry is methods.REGISTRY else {"name", "label"}
        values = {key: value for key, value in given.items() if key not in own}
        for name in _names(given, where, registry, problems):
            for flat, varying in multiplied(model_of(name), values, where, problems):
                full = checked(model_of(name), flat, where, problems)
                if full is not None:
                    # Of a method its named hyper-parameters count, other values have other sources.
                    kept = flat if registry is methods.REGISTRY else full.keys() - {"name"}
                    chosen = {key: value for key, value in full.items() if key in kept}
                    places = _places(path_fields(model_of(name)), chosen, base)
                    each = _Setting(where, name, label, chosen, varying, display, places)
                    yield replace(each, label=label and label + each.suffix(varying))


def _places(keys: Iterable[str], values: dict[str, Any], base: Path) -> dict[str, str]:
    """Takes the paths out of `values`; returns them whole."""
    paths = {key: values.pop(key) for key in keys if key in values}
    return {
        key: os.path.normpath(base / _home(path)) for key, path in paths.items() if path is not None
    }


def _home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def _is_label(label: Any, where: str, problems: Problems) -> bool:
    if not is_name(label):
        problems.refuse(f"{where}.label", label, f"{NAME_ALLOWED}: give the entry a short label")
    return is_name(label)


def _is_display(text: Any, where: str, problems: Problems) -> bool:
    fits = isinstance(text, str) and 0 < len(text.strip()) <= LONGEST_DISPLAY and text.isprintable()
    if not fits:
        allowed = f"the name in tables, a text of at most {LONGEST_DISPLAY} letters"
        problems.refuse(f"{where}.display", text, allowed)
    return fits


def _as_mapping(entry: Any, where: str, registry: Registry, problems: Problems) -> dict[str, Any]:
    if isinstance(entry, str):
        return {"name": entry}
    known = ", ".join(registry.names())
    if not isinstance(entry, dict):
        problems.refuse(where, entry, f"{registry.kind} ({known}) or a mapping with its name")
        return {}
    if "name" not in entry:
        problems.add(f"{where}.name", f"is missing: must be one of {known}")
    return entry


def _names(
    given: dict[str, Any], where: str, registry: Registry, problems: Problems
) -> Iterator[str]:
    names = given.get("name", ())
    if names == []:
        problems.refuse(f"{where}.name", names, "one name or more")
    for name in names if isinstance(names, list | tuple) else [names]:
        if is_known(name, where, registry, problems):
            yield name


def is_known(name: Any, where: str, registry: Registry, problems: Problems, also: str = "") -> bool:
    """Whether a name is that of an entry, or of one from outside that can be imported.

    Args:
        also: what else may stand there, for the message.
    """
    known = registry.names()
    if isinstance(name, str) and is_outside(name):
        try:
            registry.load(name)
        except ImportError as error:
            reason = " ".join(str(error).split()).removeprefix(f"{name}: ")
            problems.refuse(where, name, f"{also}a class that can be imported ({reason})")
            return False
        return True
    if isinstance(name, str) and registry.has(name):
        return True
    outside = f"package.module:Class for {registry.kind} from outside"
    problems.refuse(where, name, f"{also}one of {', '.join(known)}, or {outside}", known)
    return False
