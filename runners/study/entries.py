"""Expands the noise and method entries of a study: names, variants, and lists that multiply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

import datasets
import methods
from datasets import noise
from datasets.base import Dataset
from datasets.registry import Registry, is_outside
from methods.declaration import Declaration
from runners.study.problems import Problems
from runners.study.values import checked, multiplied, suffix
from runners.system.names import NAME_ALLOWED, is_name

LONGEST_DISPLAY = 64


@dataclass(frozen=True)
class DatasetEntry:
    """One data set: its name in folders and tables, and its config: a name, or with parameters."""

    label: str
    config: str | dict[str, Any]

    @property
    def dataset(self) -> Dataset:
        return datasets.of(self.config)


@dataclass(frozen=True)
class NoiseEntry:
    """One noise setting: resolved parameters (with `name`), folder name and table name."""

    params: dict[str, Any]
    slug: str
    display: str


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

    def suffix(self, keys: Iterable[str]) -> str:
        return "".join(suffix(key, self.values[key]) for key in keys)


def dataset_entries(raw: list[Any], problems: Problems) -> list[DatasetEntry]:
    """The data sets of `axes.dataset`; what is wrong is noted in `problems`."""
    entries = []
    registry = datasets.REGISTRY
    for each in _settings("axes.dataset", raw, registry, _parameters, problems):
        label = each.label or _short(each.name)
        if _is_label(label, each.where, problems):
            config = {"name": each.name, **each.values} if each.values else each.name
            entries.append(DatasetEntry(label, config))
    return entries


def _parameters(name: str) -> type[BaseModel]:
    return datasets.REGISTRY.load(name).Parameters


def noise_entries(raw: list[Any], problems: Problems) -> list[NoiseEntry]:
    """The noise settings of `axes.noise`; what is wrong is noted in `problems`."""
    entries = []
    for each in _settings("axes.noise", raw, noise.REGISTRY, noise.get, problems):
        params = {"name": each.name, **each.values}
        slug = each.label or noise.of(params).slug
        if _is_label(slug, each.where, problems):
            entries.append(NoiseEntry(params, slug, each.label or noise.of(params).display))
    return entries


def method_entries(raw: list[Any], problems: Problems) -> list[MethodEntry]:
    """The methods and variants of `axes.method`; what is wrong is noted in `problems`."""
    entries = []
    for each in _settings("axes.method", raw, methods.REGISTRY, _hparams, problems):
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
                    each = _Setting(where, name, label, chosen, varying, display)
                    yield replace(each, label=label and label + each.suffix(varying))


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
    if isinstance(name, str) and name in known:
        return True
    outside = f"package.module:Class for {registry.kind} from outside"
    problems.refuse(where, name, f"{also}one of {', '.join(known)}, or {outside}", known)
    return False
