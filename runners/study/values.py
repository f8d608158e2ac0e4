"""Values of an entry: checked against its model, lists multiplied, and what they add to a label."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from runners.study import fields
from runners.study.problems import Problems
from runners.study.schema import MOST_CELLS


def checked(
    model: type[BaseModel], given: dict[str, Any], where: str, problems: Problems
) -> dict[str, Any] | None:
    """Parameters with their declared types, defaults filled in; None with the reasons noted."""
    try:
        return model.model_validate(fields.numbers(model, given)).model_dump(mode="json")
    except ValidationError as error:
        fields.note_errors(error, model, where, given, problems)
        return None


def note_unknown(model: type[BaseModel], key: str, where: str, problems: Problems) -> None:
    """Notes a parameter that there is not, or not any more."""
    if instead := getattr(model, "RENAMED", {}).get(key):
        problems.add(f"{where}.{key}", f"this key is not allowed: must be {instead}")
    else:
        known = [name for name in model.model_fields if name != "name"]
        problems.unknown_key(f"{where}.{key}", known)


def multiplied(
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


def suffix(key: str, value: Any) -> str:
    """What a named hyper-parameter adds to an automatic label: `-q0.5`, `-truncated`."""
    if isinstance(value, bool):
        return f"-{key}" if value else f"-no-{key}"
    if isinstance(value, float):
        short = f"{value:g}"
        return f"-{key}{short if float(short) == value else repr(value)}".replace("+", "")
    text = "_".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return f"-{key}{text}" if isinstance(value, int) else f"-{key}-{text}"
