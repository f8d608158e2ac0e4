"""Files that are whole or not there: atomic writes, payloads with a checksum, what is left over."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from runners.system.processes import is_tag, lives, this_process

DIGEST = 64
"""Length of the SHA-256 in front of a checked payload, in hexadecimal digits."""

UNREADABLE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError)
"""What reading JSON raises where there is no such file or none that JSON is made of."""

ABANDONED_S = 3600.0
"""Age from which a temporary file of another machine is taken for left over."""


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Inside, errors of writing name this file, as those of opening do by themselves."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Creates or replaces a file in one step: readers see the old one or the whole new one.

    The name of the temporary file tells which process writes it, so that others can see whether it
    still does (`sweep`). File and folder are flushed to the disk before this returns.

    Raises:
        OSError: the folder cannot be written or the disk is full; the old file still stands.
    """
    temporary = path.with_name(f"{path.name}.tmp.{this_process().tag}")
    try:
        with naming(path), temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some file systems cannot, and need not
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)


def sweep(folder: Path, exclusive: bool = False) -> bool:
    """Removes the temporary files that processes which are gone have left in a folder.

    Args:
        exclusive: nobody may write into this folder now but the caller, so all are left over.

    Returns:
        Whether there are others, whose writers live or cannot be seen from here.
    """
    others = False
    for path in folder.glob("*.tmp.*"):
        tag = path.name.rpartition(".tmp.")[2]
        if not is_tag(tag):  # a person's own file
            continue
        alive = False if exclusive else lives(tag)
        try:
            old = alive is None and time.time() - path.stat().st_mtime > ABANDONED_S
            if alive is False or old:
                path.unlink()
            else:
                others = True
        except OSError:
            continue  # its writer, or another sweeper, was faster; or nothing can be changed here
    return others


def write_text(path: Path, text: str) -> Path:
    """Writes text atomically as UTF-8, and its folder if need be; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(text.encode()))
    return path


def write_json(path: Path, value: Any) -> None:
    """Writes a value atomically as JSON, an entry of a mapping and of the lists in it a line.

    Deeper, everything is on one line: indenting is ten times slower, which ten thousand cells feel.
    """
    text = _lines(value) if isinstance(value, dict) else json.dumps(value, allow_nan=False)
    write_atomically(path, lambda file: file.write(f"{text}\n".encode()))


def _lines(mapping: dict[str, Any]) -> str:
    entries = [f"{json.dumps(key)}: {_listed(value)}" for key, value in mapping.items()]
    return "{\n " + ",\n ".join(entries) + "\n}" if entries else "{}"


def _listed(value: Any) -> str:
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return json.dumps(value, allow_nan=False)
    return "[\n  " + ",\n  ".join(json.dumps(each, allow_nan=False) for each in value) + "\n ]"


def read_json(path: Path) -> Any | None:
    """The value in a JSON file; None if there is no such file or it is not whole."""
    try:
        text = read_text(path)
        return None if text is None else json.loads(text)
    except UNREADABLE:
        return None


def read_text(path: Path) -> str | None:
    """The text of a file; None if there is no such file or it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UNREADABLE:
        return None


def write_checked(path: Path, payload: bytes) -> None:
    """Writes a payload atomically, with its SHA-256 in front."""
    digest = hashlib.sha256(payload).hexdigest().encode()
    write_atomically(path, lambda file: file.write(digest + payload))


def read_checked(path: Path) -> bytes | None:
    """The payload of a file made by `write_checked`; None if it is not whole.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    content = path.read_bytes()
    digest, payload = content[:DIGEST], content[DIGEST:]
    return payload if hashlib.sha256(payload).hexdigest().encode() == digest else None
