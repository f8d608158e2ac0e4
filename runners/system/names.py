"""What the name of a study or a label may be, so that it never leaves its folder; unknown names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
NAME_ALLOWED = "1 to 64 of the characters A-Z a-z 0-9 . _ -"
RESERVED = ("reference", "speed", "tuning")
"""Folders of results that are no studies."""


def is_name(value: Any) -> bool:
    """Whether `value` can be the name of a study or a label."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None and value not in (".", "..")


def unknown(option: str, name: str, what: str, allowed: Iterable[str]) -> str:
    """The sentence on a name that is none of those that an option of a command takes."""
    allowed = list(allowed)
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{option}: {name!r} is no {what}; {hint}allowed are {', '.join(allowed)}"
