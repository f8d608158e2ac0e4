"""The logs of a cell, whichever attempt, array or node wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runners.grid import Cell
from runners.options import UserError
from runners.slurm import manifest
from runners.store import StudyFolder


def show_logs(name: str, cells: Sequence[Cell], study: StudyFolder) -> int:
    """Prints where the logs of a cell are and how they end; returns the exit code.

    Raises:
        UserError: the study has no such cell.
    """
    fits = [cell.name for cell in cells if cell.name == name] or [
        cell.name for cell in cells if name in cell.name
    ]
    if len(fits) != 1:
        found = "no cell" if not fits else f"{len(fits)} cells"
        raise UserError(f"--logs: {name!r} is not allowed: it fits {found}: must name one cell")
    paths = [study.cell(fits[0]).log]
    for made in manifest.read_all(study.path).found:
        for array, number, inside in made.elements():
            if fits[0] in inside and array.id:
                ends = ("out", "err")
                paths += [made.folder / f"{array.element(number)}_0_log.{end}" for end in ends]
    for path in paths:
        print(f"== {path}")
        print(_tail(path))
    return 0


def _tail(path: Path, lines: int = 20) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error.strerror})"
