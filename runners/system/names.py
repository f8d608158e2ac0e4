"""What the name of a study or a label may be, so that it never leaves its folder."""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
NAME_ALLOWED = "1 to 64 of the characters A-Z a-z 0-9 . _ -"
RESERVED = ("reference", "speed", "tuning")
"""Folders of results that are no studies."""


def is_name(value: Any) -> bool:
    """Whether `value` can be the name of a study or a label."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None and value not in (".", "..")
