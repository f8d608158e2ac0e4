"""Expands the noise and method entries of a study: names, variants, and lists that multiply."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

import datasets
import methods
from datasets import noise
from datasets.base import Dataset
from datasets.registry import Registry, is_outside
from methods.declaration import Declaration
from runners.study import fields
from runners.study.problems import Problems
from runners.study.schema import MOST_CELLS
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
        return "".join(_suffix(key, self.values[key]) for key in keys)


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


def checked(
    model: type[BaseModel], given: dict[str, Any], where: str, problems: Problems
) -> dict[str, Any] | None:
    """Parameters with their declared types, defaults filled in; None with the reasons noted."""
    try:
        return model.model_validate(fields.numbers(model, given)).model_dump(mode="json")
    except ValidationError as error:
        fields.note_errors(error, model, where, given, problems)
        return None


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
            for flat, varying in _multiplied(model_of(name), values, where, problems):
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


def note_unknown(model: type[BaseModel], key: str, where: str, problems: Problems) -> None:
    """Notes a parameter that there is not, or not any more."""
    if instead := getattr(model, "RENAMED", {}).get(key):
        problems.add(f"{where}.{key}", f"this key is not allowed: must be {instead}")
    else:
        known = [name for name in model.model_fields if name != "name"]
        problems.unknown_key(f"{where}.{key}", known)


def _multiplied(
    model: type[BaseModel], given: dict[str, Any], where: str, problems: Problems
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """One mapping for every combination of the values that stand in lists, and the keys of these.

    A hyper-parameter that is itself a list does not multiply.
    """
    known = [key for key in model.model_fields if key != "name"]
    unknown = [key for key in given if key not in known]
    before = dict(itertools.pairwise(given))
    for key in unknown:
        first = next((k for k, after in before.items() if after == key), None)
        if given[key] is None and first in known and _is_number(key):
            text = f"is no key: for several values write {first}: [{given[first]}, {key}]"
            problems.add(f"{where}.{key}", text)
        else:
            note_unknown(model, key, where, problems)
    if unknown:
        return
    given = {key: given[key] for key in known if key in given}
    lists = {key: fields.takes_list(model.model_fields[key].annotation) for key in given}
    varying = [key for key, value in given.items() if isinstance(value, list) and not lists[key]]
    for key in varying:
        if not given[key]:
            problems.refuse(f"{where}.{key}", [], "one value or more")
    choices = [value if key in varying else [value] for key, value in given.items()]
    count = math.prod(map(len, choices))
    if count > MOST_CELLS:
        problems.add("axes", f"{count:,} entries are not allowed: must be at most {MOST_CELLS:,}")
        return
    for values in itertools.product(*choices):
        yield dict(zip(given, values, strict=True)), varying


def _is_number(key: Any) -> bool:
    try:
        float(key)
    except (TypeError, ValueError):
        return False
    return True


def _suffix(key: str, value: Any) -> str:
    """What a named hyper-parameter adds to an automatic label: `-q0.5`, `-truncated`."""
    if isinstance(value, bool):
        return f"-{key}" if value else f"-no-{key}"
    if isinstance(value, float):
        short = f"{value:g}"
        return f"-{key}{short if float(short) == value else repr(value)}".replace("+", "")
    text = "_".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return f"-{key}{text}" if isinstance(value, int) else f"-{key}-{text}"
