"""What a field of a pydantic model allows, in words, and what counts as a number."""

from __future__ import annotations

import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from runners.study.problems import Problems

BOUNDS = {Gt: "above", Ge: "at least", Lt: "below", Le: "at most"}
NAMES = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}


def real(value: Any) -> float:
    """A finite float from a number.

    Raises:
        ValueError: not a finite number; true, false and text are none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:  # not so for nan either
        raise ValueError("not a finite number")
    return float(value) + 0.0  # + 0.0 makes -0.0 and 0.0 one value


def whole(value: Any) -> int:
    """An int below 2^63 from a whole number, also one written as `1e4` or `12.0`.

    Raises:
        ValueError: not a whole number; true and false are none.
    """
    number = real(value)
    if not number.is_integer() or abs(number) >= 2**63:
        raise ValueError("not a whole number")
    return int(value)


Whole = Annotated[int, BeforeValidator(whole)]
Real = Annotated[float, BeforeValidator(real)]


def takes_list(annotation: Any) -> bool:
    """Whether a value of this type is itself a list, so that a list does not multiply."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, Annotated):
        return any(takes_list(part) for part in get_args(annotation))
    return (origin or annotation) in (list, tuple, set, frozenset)


def numbers(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """`values` with numbers where the model wants numbers; what is none becomes invalid text.

    For models that were not written with `Whole` and `Real`: true is no number there either.
    """
    convert = {int: whole, float: real}
    converted = dict(values)
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is not None and field.annotation in convert:
            try:
                converted[key] = convert[field.annotation](value)
            except ValueError:
                converted[key] = "not a number"
    return converted


def allowed(field: FieldInfo) -> str:
    """What may stand in a field, as the end of a sentence that begins "must be"."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "allowed" in extra:
        return str(extra["allowed"])
    limits = [
        f"{words} {_plain(getattr(bound, kind.__name__.lower()))}"
        for kind, words in BOUNDS.items()
        for bound in field.metadata
        if isinstance(bound, kind)
    ]
    return " ".join([_kind(field.annotation), " and ".join(limits)]).rstrip()


def _plain(number: float) -> str:
    return f"{int(number):,}" if float(number).is_integer() else f"{number:g}"


def options(field: FieldInfo) -> list[str]:
    """The names that a field offers, for the nearest one."""
    return [str(name) for name in get_args(field.annotation) if isinstance(name, str)]


def _kind(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is Annotated:
        return _kind(parts[0])
    if origin is Literal:
        return ("one of " if len(parts) > 1 else "") + ", ".join(map(str, parts))
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in parts)
    return NAMES.get(annotation, "a list" if takes_list(annotation) else "a mapping")


def note_errors(
    error: ValidationError, model: type[BaseModel], where: str, given: Any, problems: Problems
) -> None:
    """Turns pydantic's report into one sentence a field.

    Args:
        error: the report of validating `given`.
        model: the class that was validated; models inside it are followed.
        where: dotted key of the whole, "" at the top of a file.
        given: the raw value, whose parts are shown as the person wrote them.
    """
    for entry in error.errors(include_url=False, include_context=False):
        parent, field, value, path = model, None, given, [where] if where else []
        for step in entry["loc"]:
            parent = _model_of(field) if field is not None else parent
            if parent is None:  # inside a list, or in one branch of a union
                break
            field = parent.model_fields.get(str(step))
            value = value.get(step) if isinstance(value, dict) else None
            path.append(str(step))
        key = ".".join(path)
        if field is None and entry["type"] == "extra_forbidden":
            problems.unknown_key(key, parent.model_fields)
        elif field is None:
            problems.add(key, entry["msg"].removeprefix("Value error, "))
        elif entry["type"] == "missing":
            problems.add(key, f"is missing: must be {allowed(field)}")
        else:
            problems.refuse(key, value, allowed(field), options(field))


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
