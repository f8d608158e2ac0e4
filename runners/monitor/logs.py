"""The logs of a cell, whichever attempt, array or node wrote them: `--logs`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runners.results.store import StudyFolder
from runners.slurm import manifest
from runners.study.cell import Cell
from runners.system.errors import UserError


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
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error.strerror})"
