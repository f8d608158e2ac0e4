"""Expands the noise and method entries of a study: names, variants, and lists that multiply."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


def dataset_entries(raw: list[Any], problems: Problems) -> list[DatasetEntry]:
    """The data sets of `axes.dataset`; what is wrong is noted in `problems`."""
    entries = []
    for where, entry in _numbered("axes.dataset", raw):
        given = _as_mapping(entry, where, datasets.REGISTRY, problems)
        for name in _names(given, where, datasets.REGISTRY, problems):
            model = datasets.REGISTRY.load(name).Parameters
            for label, values in _settings(model, given, where, problems):
                full = label or name.rpartition(":")[2]
                if _is_label(full, where, problems):
                    config = {"name": name, **values} if values else name
                    entries.append(DatasetEntry(full, config))
    return entries


def noise_entries(raw: list[Any], problems: Problems) -> list[NoiseEntry]:
    """The noise settings of `axes.noise`; what is wrong is noted in `problems`."""
    entries = []
    for where, entry in _numbered("axes.noise", raw):
        given = _as_mapping(entry, where, noise.REGISTRY, problems)
        for name in _names(given, where, noise.REGISTRY, problems):
            model = noise.get(name)
            for label, values in _settings(model, given, where, problems):
                params = {"name": name, **values}
                slug = label or noise.of(params).slug
                if _is_label(slug, where, problems):
                    entries.append(NoiseEntry(params, slug, label or noise.of(params).display))
    return entries


def _settings(
    model: type[BaseModel], given: dict[str, Any], where: str, problems: Problems
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Label (None where none is given) and checked parameters of every combination of lists."""
    label = given.get("label")
    if label is not None and not _is_label(label, where, problems):
        return
    params = {key: value for key, value in given.items() if key not in ("name", "label")}
    known = [key for key in model.model_fields if key != "name"]
    if _refuse_unknown(params, known, where, problems):
        return
    is_list = functools.partial(_takes_list, model)
    varying = [key for key, value in params.items() if isinstance(value, list) and not is_list(key)]
    for flat in _multiplied(params, is_list, where, problems):
        try:
            checked = model.model_validate(fields.numbers(model, flat))
        except ValidationError as error:
            fields.note_errors(error, model, where, flat, problems)
            continue
        values = checked.model_dump(mode="json", exclude={"name"})
        suffix = "".join(_suffix(key, values[key]) for key in varying)
        yield label and f"{label}{suffix}", values


def _is_label(label: Any, where: str, problems: Problems) -> bool:
    if not is_name(label):
        problems.refuse(f"{where}.label", label, f"{NAME_ALLOWED}: give the entry a short label")
    return is_name(label)


def method_entries(raw: list[Any], problems: Problems) -> list[MethodEntry]:
    """The methods and variants of `axes.method`; what is wrong is noted in `problems`."""
    entries = []
    for where, entry in _numbered("axes.method", raw):
        given = _as_mapping(entry, where, methods.REGISTRY, problems)
        for name in _names(given, where, methods.REGISTRY, problems):
            entries += _variants(name, methods.declaration(name), given, where, problems)
    return entries


def _variants(
    name: str, declaration: Declaration, given: dict[str, Any], where: str, problems: Problems
) -> Iterator[MethodEntry]:
    label = given.get("label")
    if label is not None and not is_name(label):
        problems.refuse(f"{where}.label", label, NAME_ALLOWED)
        return
    named = {key: value for key, value in given.items() if key not in ("name", "label")}
    if _refuse_unknown(named, list(declaration.fields), where, problems):
        return
    defaults = {key: field.default for key, field in declaration.fields.items()}
    named = {key: named[key] for key in defaults if key in named}
    varying = [k for k, v in named.items() if isinstance(v, list) and not _is_list(defaults[k])]
    for flat in _multiplied(named, lambda key: _is_list(defaults[key]), where, problems):
        values = checked_hparams(declaration, flat, where, problems)
        if values is None:
            continue
        shown = values if label is None else {key: values[key] for key in varying}
        full = (label or name.rpartition(":")[2]) + "".join(map(_suffix, shown, shown.values()))
        if not is_name(full):
            problems.refuse(f"{where}.label", full, f"{NAME_ALLOWED}: give the entry a short label")
            continue
        is_variant = label is not None or bool(values)
        yield MethodEntry(
            full, full if is_variant else declaration.display, declaration, name, values
        )


def checked_hparams(
    declaration: Declaration, given: dict[str, Any], where: str, problems: Problems
) -> dict[str, Any] | None:
    """Hyper-parameters with their declared types, or None with the reasons noted."""
    model = declaration.hparams
    try:
        checked = model.model_validate(fields.numbers(model, given))
    except ValidationError as error:
        fields.note_errors(error, model, where, given, problems)
        return None
    return {key: getattr(checked, key) for key in given}


def _numbered(key: str, raw: list[Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"{key}[{index}]", entry) for index, entry in enumerate(raw))


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


def _refuse_unknown(
    given: dict[str, Any], known: list[str], where: str, problems: Problems
) -> bool:
    unknown = [key for key in given if key not in known]
    for key in unknown:
        problems.unknown_key(f"{where}.{key}", known)
    return bool(unknown)


def _multiplied(
    given: dict[str, Any], is_list: Callable[[str], bool], where: str, problems: Problems
) -> Iterator[dict[str, Any]]:
    """One mapping for every combination of the values that stand in lists."""
    for key, value in given.items():
        if value == [] and not is_list(key):
            problems.refuse(f"{where}.{key}", value, "one value or more")
    choices = [v if isinstance(v, list) and not is_list(k) else [v] for k, v in given.items()]
    count = math.prod(map(len, choices))
    if count > MOST_CELLS:
        problems.add("axes", f"{count:,} entries are not allowed: must be at most {MOST_CELLS:,}")
        return
    for values in itertools.product(*choices):
        yield dict(zip(given, values, strict=True))


def _takes_list(model: type[BaseModel], key: str) -> bool:
    return fields.takes_list(model.model_fields[key].annotation)


def _is_list(default: Any) -> bool:
    return isinstance(default, tuple | list)


def _suffix(key: str, value: Any) -> str:
    """What a named hyper-parameter adds to an automatic label: `-q0.5`, `-truncated`."""
    if isinstance(value, bool):
        return f"-{key}" if value else f"-no-{key}"
    if isinstance(value, float):
        short = f"{value:g}"
        return f"-{key}{short if float(short) == value else repr(value)}".replace("+", "")
    text = "_".join(map(str, value)) if _is_list(value) else str(value)
    return f"-{key}{text}" if isinstance(value, int) else f"-{key}-{text}"
