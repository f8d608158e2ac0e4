"""What a study can name: `--list KIND`, and the parameters of one entry: `--list KIND NAME`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import datasets
import methods
import networks
from datasets import noise
from datasets.registry import Registry, is_outside
from runners.study import fields
from runners.study.problems import hint
from runners.system.errors import UserError

CATALOGUES: dict[str, Registry] = {
    "methods": methods.REGISTRY,
    "datasets": datasets.REGISTRY,
    "noise": noise.REGISTRY,
    "networks": networks.REGISTRY,
}


def describe(asked: Sequence[str]) -> str:
    """The entries of a kind, one a line; of a kind and a name, its parameters.

    Raises:
        UserError: no such kind, no such name, or more than two words.
    """
    kind, *names = asked
    if kind not in CATALOGUES:
        allowed = f"one of {', '.join(CATALOGUES)}"
        raise UserError(f"--list: {kind!r} is not allowed: must be {allowed}")
    registry = CATALOGUES[kind]
    if len(names) > 1:
        raise UserError(f"--list: {' '.join(asked)!r} is not allowed: must be a kind and one name")
    if names:
        return _parameters(kind, registry, names[0])
    width = max(map(len, registry.names()))
    return "\n".join(f"{name:<{width}}  {_about(kind, name)}" for name in registry.names())


def _about(kind: str, name: str) -> str:
    """What an entry is; of a method also its family and privileges."""
    summary = CATALOGUES[kind].summary(name)
    if kind != "methods":
        return summary
    declared = methods.declaration(name)
    return f"{summary} [{', '.join([declared.family, *declared.privileges.names])}]"


def _parameters(kind: str, registry: Registry, name: str) -> str:
    if not is_outside(name) and name not in registry.names():
        allowed = f"one of {', '.join(registry.names())}{hint(name, registry.names())}"
        raise UserError(f"--list {kind}: {name!r} is not allowed: must be {allowed}")
    try:
        model = _model(kind, name)
        about = _about(kind, name)
    except ImportError as error:
        raise UserError(f"--list {kind}: {error}") from error
    given = {} if model is None else model.model_fields
    lines = [_line(key, info) for key, info in given.items() if key != "name"]
    return "\n".join([f"{name}: {about}", *(lines or ["no parameters"])])


def _model(kind: str, name: str) -> type[BaseModel] | None:
    """The pydantic model of an entry's parameters."""
    match kind:
        case "methods":
            return methods.declaration(name).hparams
        case "datasets":
            return datasets.REGISTRY.load(name).Parameters
        case "noise":
            return noise.get(name)
    networks.REGISTRY.load(name)
    return None


def _line(key: str, info: FieldInfo) -> str:
    """Name, default, what is allowed, and the search range of one parameter."""
    default = "required" if info.is_required() else f"default {_shown(info.default)}"
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    search = f"; tuned over {extra['search']}" if extra.get("search") else ""
    about = f"  # {info.description}" if info.description else ""
    return f"  {key}: {default}; {fields.allowed(info)}{search}{about}"


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower()
