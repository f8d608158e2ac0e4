"""What a method says of itself, readable without importing torch.

Plans, tables and configs need a method's name, privileges and hyper-parameters long before (and on
machines where) its network code cannot or should not be imported. So each method file holds a class
`Hparams`, a pydantic model, and a `DECLARATION`; `read` runs only these two out of the file's
syntax tree.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

LIGHT_MODULES = {"typing", "pydantic", "methods.declaration"}


class Privileges(enum.Flag):
    """What a method is told beyond images and noisy labels; printed as marks in every table."""

    NONE = 0
    CLEAN_SUBSET = enum.auto()
    NOISE_RATE = enum.auto()
    NOISE_TYPE = enum.auto()
    TRANSITION_MATRIX = enum.auto()
    TRUE_LABELS = enum.auto()

    @property
    def names(self) -> list[str]:
        """Lower-case names of the granted privileges, as records hold them."""
        return [flag.name.lower() for flag in Privileges if flag and flag in self]


class Search(Protocol):
    """A range that tuning draws from: `at(u)` is the value at the share u in [0, 1) of it."""

    def at(self, u: float) -> Any: ...


@dataclass(frozen=True)
class Uniform:
    """Search range: uniform between `low` and `high`; `widened`: how often it was, with reason."""

    low: float
    high: float
    widened: int = 0

    def at(self, u: float) -> float:
        return float(f"{self.low + (self.high - self.low) * u:.3g}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class LogUniform:
    """Search range: uniform in the logarithm between `low` and `high`, both positive."""

    low: float
    high: float
    widened: int = 0

    def at(self, u: float) -> float:
        return float(f"{self.low * (self.high / self.low) ** u:.3g}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, logarithmic"


@dataclass(frozen=True)
class Choice:
    """Search range: one of `options`, equally likely."""

    options: tuple[Any, ...]

    def at(self, u: float) -> Any:
        return self.options[int(u * len(self.options))]

    def __str__(self) -> str:
        return ", ".join(map(str, self.options))


class Hyperparameters(BaseModel):
    """Base of a method's `Hparams`: defaults are the paper's values, types are strict."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    RENAMED: ClassVar[dict[str, str]] = {}
    """Former name -> what must be written instead."""

    @model_validator(mode="before")
    @classmethod
    def _lists_as_tuples(cls, values: Any) -> Any:
        """YAML and JSON have lists where a hyper-parameter is a tuple."""
        return {k: tuple(v) if isinstance(v, list) else v for k, v in dict(values).items()}


def hparam(default: Any, search: Search | None = None, **bounds: Any) -> Any:
    """A pydantic field: its default (the paper's), its bounds and the range that tuning searches.

    Args:
        default: the paper's value.
        search: range for `runners/tune.py`; None keeps the parameter out of tuning.
        bounds: of `pydantic.Field`: `gt`, `ge`, `lt`, `le`, `description`, ...
    """
    return Field(default, json_schema_extra={"search": search}, **bounds)


@dataclass(frozen=True)
class Declaration:
    """Name, table name, privileges and hyper-parameters of one method."""

    name: str
    display: str
    hparams: type[Hyperparameters] = Hyperparameters
    privileges: Privileges = Privileges.NONE
    paper: Mapping[str, Any] = field(default_factory=dict)
    """Values of the paper track (`protocol.hparams: paper`) that differ from the defaults."""
    cost: float = 1.0
    """Time of a whole training in trainings by cross-entropy; a guess, used by plans only."""
    views: tuple[str, ...] = ("weak",)
    """Views of each training image in a batch: the first is the protocol's, "weak" for all methods;
    further ones are "weak" (drawn again) or "strong"."""
    family: str = "other"
    """What kind of method it is, such as "robust loss"; for people, changes nothing."""

    def __post_init__(self) -> None:
        if not (isinstance(self.hparams, type) and issubclass(self.hparams, Hyperparameters)):
            raise TypeError(f"{self.name}: Hparams must be a subclass of Hyperparameters")
        if self.views[:1] != ("weak",) or not set(self.views) <= {"weak", "strong"}:
            raise ValueError(
                f"{self.name}: views {self.views} are not allowed: must be weak, then any number "
                "of weak and strong"
            )

    @property
    def fields(self) -> dict[str, FieldInfo]:
        """The hyper-parameters by name."""
        return self.hparams.model_fields

    @property
    def defaults(self) -> dict[str, Any]:
        return {name: info.default for name, info in self.fields.items()}

    @property
    def searched(self) -> dict[str, Search]:
        """The search ranges, of the hyper-parameters that have one."""
        extras = {n: info.json_schema_extra or {} for n, info in self.fields.items()}
        return {n: extra["search"] for n, extra in extras.items() if extra.get("search")}


def read(path: Path) -> Declaration | None:
    """The declaration in a method file, found in its syntax tree and run without the rest.

    Only imports of the `LIGHT_MODULES`, the class `Hparams` and the assignment of `DECLARATION` are
    executed. Returns None for a file that declares no method.
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
