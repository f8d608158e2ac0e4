"""What a method says of itself, readable without importing torch.

Plans, tables and configs need a method's name, privileges and hyper-parameters long before (and on
machines where) its network code cannot or should not be imported. So each method file holds a
`Hparams` dataclass and a `DECLARATION`; `read` runs only these two out of the file's syntax tree.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

LIGHT_MODULES = {"dataclasses", "methods.declaration"}


class Privileges(enum.Flag):
    """What a method is told beyond images and noisy labels; printed as marks in every table."""

    NONE = 0
    CLEAN_SUBSET = enum.auto()
    NOISE_RATE = enum.auto()
    NOISE_TYPE = enum.auto()
    TRANSITION_MATRIX = enum.auto()

    @property
    def names(self) -> list[str]:
        """Lower-case names of the granted privileges, as records hold them."""
        return [flag.name.lower() for flag in Privileges if flag and flag in self]


@dataclass(frozen=True)
class Uniform:
    """Search range: uniform between `low` and `high`."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(f"{rng.uniform(self.low, self.high):.3g}")


@dataclass(frozen=True)
class LogUniform:
    """Search range: uniform in the logarithm between `low` and `high`, both positive."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(f"{np.exp(rng.uniform(np.log(self.low), np.log(self.high))):.3g}")


@dataclass(frozen=True)
class Choice:
    """Search range: one of `options`, equally likely."""

    options: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        return self.options[int(rng.integers(len(self.options)))]


def hparam(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[Any] | None = None,
    search: Uniform | LogUniform | Choice | None = None,
) -> Any:
    """A hyper-parameter: its default (the paper's), its bounds and the range that tuning searches.

    Args:
        default: the paper's value; its type (bool, int, float, str) is the parameter's type.
        low, high: inclusive bounds.  above: exclusive lower bound.
        choices: the only allowed values.
        search: range for `runners/tune.py`; None keeps the parameter out of tuning.
    """
    bounds = {"low": low, "high": high, "above": above, "choices": choices, "search": search}
    return field(default=default, metadata=MappingProxyType(bounds))


@dataclass(frozen=True)
class Declaration:
    """Name, table name, privileges and hyper-parameters of one method."""

    name: str
    display: str
    hparams: type
    privileges: Privileges = Privileges.NONE
    paper: Mapping[str, Any] = field(default_factory=dict)
    """Values of the paper track (`protocol.hparams: paper`) that differ from the defaults."""
    cost: float = 1.0
    """Time of a whole training in trainings by cross-entropy; a guess, used by plans only."""
    views: tuple[str, ...] = ("weak",)
    """Views of each training image in a batch: the first is the protocol's, "weak" for all methods;
    further ones are "weak" (drawn again) or "strong"."""

    def __post_init__(self) -> None:
        if self.views[:1] != ("weak",) or not set(self.views) <= {"weak", "strong"}:
            raise ValueError(
                f"{self.name}: views {self.views} are not allowed: must be weak, then any number "
                "of weak and strong"
            )

    @property
    def fields(self) -> dict[str, Field]:
        """Dataclass fields of the hyper-parameters by name; bounds are in `field.metadata`."""
        return {f.name: f for f in fields(self.hparams)}

    @property
    def defaults(self) -> dict[str, Any]:
        return {name: f.default for name, f in self.fields.items() if f.default is not MISSING}

    def problem(self, name: str, value: Any) -> str | None:
        """Why `value` is not allowed for hyper-parameter `name` ("must be ..."), or None."""
        default, bounds = self.fields[name].default, self.fields[name].metadata
        if bounds.get("choices") is not None:
            allowed = ", ".join(map(str, bounds["choices"]))
            return None if value in bounds["choices"] else f"must be one of {allowed}"
        if isinstance(default, bool):
            return None if isinstance(value, bool) else "must be true or false"
        if isinstance(default, int | float):
            return _number_problem(value, isinstance(default, int), bounds)
        return None if isinstance(value, type(default)) else f"must be a {type(default).__name__}"

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """One random draw of every hyper-parameter that has a search range."""
        searched = {n: f.metadata.get("search") for n, f in self.fields.items()}
        return {name: search.draw(rng) for name, search in searched.items() if search is not None}


def _number_problem(value: Any, whole: bool, bounds: Mapping[str, Any]) -> str | None:
    limits = []
    if bounds.get("above") is not None:
        limits.append(f"above {bounds['above']:g}")
    if bounds.get("low") is not None:
        limits.append(f"at least {bounds['low']:g}")
    if bounds.get("high") is not None:
        limits.append(f"at most {bounds['high']:g}")
    kind = "a whole number" if whole else "a finite number"
    sentence = " ".join(["must be", kind, " and ".join(limits)]).rstrip()
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return sentence
    if not np.isfinite(value):
        return sentence
    too_low = bounds.get("low") is not None and value < bounds["low"]
    not_above = bounds.get("above") is not None and value <= bounds["above"]
    too_high = bounds.get("high") is not None and value > bounds["high"]
    return sentence if too_low or not_above or too_high else None


def read(path: Path) -> Declaration | None:
    """The declaration in a method file, found in its syntax tree and run without the rest.

    Only imports from `dataclasses` and this module, the class `Hparams` and the assignment of
    `DECLARATION` are executed. Returns None for a file that declares no method.
    """
    body = ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body
    head = [node for node in body if _belongs_to_declaration(node)]
    if not any(isinstance(node, ast.Assign) for node in head):
        return None
    namespace: dict[str, Any] = {"__name__": f"methods.{path.stem}"}
    code = compile(ast.Module(head, []), str(path), "exec", dont_inherit=True)
    exec(code, namespace)
    return namespace["DECLARATION"]


def _belongs_to_declaration(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module in LIGHT_MODULES
    if isinstance(node, ast.ClassDef):
        return node.name == "Hparams"
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "DECLARATION" for target in targets)
