"""Where what a cell prints and logs goes: `log.txt` of its folder."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from runners.system.files import naming

FORM = logging.Formatter("%(asctime)s %(levelname)s %(message)s")


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Sends standard output, standard error and logging of this process to a file.

    Raises:
        OSError: the file cannot be written; it is named.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, naming(path):
        _flush()
        saved = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(FORM)
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
        try:
            yield
            _flush()
        finally:
            _flush_or_drop()
            for target, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _flush_or_drop() -> None:
    """Empties the buffers: what a full disk cannot take must not come out on the terminal."""
    try:
        _flush()
    except OSError:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        _flush()


class _Both:
    """A stream of which a copy is kept; in all else the stream, as debuggers want a terminal."""

    def __init__(self, stream: TextIO, keep: Callable[[str], None]) -> None:
        self._stream, self._keep = stream, keep

    def write(self, text: str) -> int:
        self._keep(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Kept(logging.Handler):
    """Logs through a function whose errors, unlike those of a stream, come through."""

    def __init__(self, keep: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._keep = keep
        self.setFormatter(FORM)

    def emit(self, entry: logging.LogRecord) -> None:
        self._keep(f"{self.format(entry)}\n")


@contextlib.contextmanager
def copied_to(path: Path) -> Iterator[None]:
    """Copies what this process prints and logs to a file; on the terminal it is as without.

    The file is open only while something is written: one that is open keeps its file system from
    being mounted again.

    Raises:
        OSError: the file cannot be written; it is named. Also where something is printed.
    """

    def keep(text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(text)

    root = logging.getLogger()
    shown, level = logging.StreamHandler(sys.stderr), root.level
    shown.setLevel(logging.WARNING)
    handlers = (_Kept(keep), shown)
    streams = _Both(sys.stdout, keep), _Both(sys.stderr, keep)
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
