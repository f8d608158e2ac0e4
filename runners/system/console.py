"""Printing that never fails a command: closed streams, and encodings without the letters."""

from __future__ import annotations

import contextlib
import io
import os
import sys


def safe_streams() -> None:
    """Lets standard output and error take any letter, and go nowhere where they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # started with `>&-`
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="replace")


def plain(text: str) -> str:
    """Text out of a file that anybody may have written, without letters that steer a terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def counted(count: int, noun: str) -> str:
    """The number with its noun: "1 cell", "2 cells"."""
    return f"{count} {noun}{'s' * (count != 1)}"
