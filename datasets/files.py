"""Where files of data are looked for, and how they are read."""

from __future__ import annotations

import contextlib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


class DataError(Exception):
    """Data are missing or corrupt; the message is one sentence that says what to do."""


def usual_roots(root: Path | None) -> list[Path]:
    """`root` if given, then `data` in the repository, then `data` in the home folder."""
    roots = [] if root is None else [Path(root).expanduser()]
    roots.append(REPOSITORY / "data")
    with contextlib.suppress(RuntimeError):  # some batch nodes have no home folder
        roots.append(Path.home() / "data")
    return list(dict.fromkeys(roots))


def read_bytes(path: Path) -> bytes:
    """Content of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def corrupt(path: Path, algorithm: str, expected: str, actual: str) -> DataError:
    """The error for a file (or its decoded content) with a wrong checksum."""
    return DataError(
        f"{path} is corrupt: its {algorithm} is {actual}, expected {expected}; "
        "put an intact copy in its place"
    )
