"""The command that was typed, as it can be typed again."""

from __future__ import annotations

import shlex
import sys

SHOWING = ("--plan", "--status", "--cells", "--watch", "--dry-run", "--cancel")
"""Options that run nothing."""


def command_line(*more: str) -> str:
    """This command as it can be typed again, without options that run nothing, and with `more`."""
    left_out = {*SHOWING, "--wait"} if set(more) & set(SHOWING) else set(SHOWING)
    words = [word for word in sys.argv if word not in left_out]
    return shlex.join(["python", *words, *(word for word in more if word not in words)])
