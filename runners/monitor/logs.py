"""The logs of a cell, whichever attempt, array or node wrote them: `--logs`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runners.results.store import StudyFolder
from runners.slurm import manifest
from runners.study.cell import Cell
from runners.system.console import plain
from runners.system.errors import UserError

MOST_SHOWN = 20_000
"""Bytes of a log's end that are read."""


def describe_logs(name: str, cells: Sequence[Cell], study: StudyFolder) -> str:
    """Where the logs of a cell are and how they end, as text.

    Args:
        name: of the cell, or a part of it that no other cell has.

    Raises:
        UserError: the study has no such cell.
    """
    names = [cell.name for cell in cells if cell.name == name] or [
        cell.name for cell in cells if name in cell.name
    ]
    if len(names) != 1:
        fitting = "no cell" if not names else f"{len(names)} cells"
        raise UserError(f"--logs: {name!r} is not allowed: it fits {fitting}: must name one cell")
    paths = [study.cell(names[0]).log]
    for submission in manifest.read_all(study.path).readable:
        for array, number, inside in submission.tasks():
            if names[0] in inside and array.id:
                ends = ("out", "err")
                log = f"{array.task_id(number)}_0_log"
                paths += [submission.folder / f"{log}.{end}" for end in ends]
    return "\n".join(f"== {path}\n{_tail(path)}" for path in paths)


def _tail(path: Path, lines: int = 20) -> str:
    if path.is_symlink():
        return "(a link, which is not followed)"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MOST_SHOWN))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"({error.strerror})"
    return plain("\n".join(text.splitlines()[-lines:]))
