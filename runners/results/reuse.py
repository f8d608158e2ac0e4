"""Finished cells of other studies of the same results folder: what has the same key is the same."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from runners.results.plan import Plan
from runners.results.store import CellFolder, State, StudyFolder
from runners.study.cell import Cell
from runners.system.console import counted
from runners.system.files import read_json, write_atomically
from runners.system.names import RESERVED


def take_over(plan: Plan, study: StudyFolder) -> str:
    """Copies the results of missing cells that another study has; says from where, else empty.

    Only what today's code has run on today's data is taken.
    """
    missing = plan.with_state(State.MISSING)
    others = _others(study) if missing else {}
    taken: Counter[str] = Counter()
    for cell in missing:
        for folder in others.get(cell.key[:8], ()):
            if _is_result(folder, cell, plan) and _copied(folder, cell, study):
                taken[folder.path.parents[1].name] += 1
                break
    places = ", ".join(f"{count} from study {name}" for name, count in taken.items())
    return f"{counted(taken.total(), 'cell')} taken over: {places}" if taken else ""


def _others(study: StudyFolder) -> dict[str, list[CellFolder]]:
    """First digits of a key -> folders of other studies that end in them."""
    found: dict[str, list[CellFolder]] = {}
    for path in sorted(study.path.parent.glob("*/cells/*__*")):
        name = path.parents[1].name
        if name != study.path.name and name not in RESERVED and not path.is_symlink():
            found.setdefault(path.name.rpartition("__")[2], []).append(CellFolder(path))
    return found


def _is_result(folder: CellFolder, cell: Cell, plan: Plan) -> bool:
    record = read_json(folder.record)
    same = isinstance(record, dict) and record.get("key") == cell.key
    return same and folder.status(plan.fingerprints[cell]).state == State.DONE


def _copied(source: CellFolder, cell: Cell, study: StudyFolder) -> bool:
    """Copies the files of a result, the record last; not where somebody runs the cell."""
    lease = study.leases.take(cell.name)
    if lease is None:
        return False
    with lease:
        target = CellFolder(study.cells / cell.name)
        target.path.mkdir(parents=True, exist_ok=True)
        pairs: Sequence[tuple[Path, Path]] = [
            (source.samples, target.samples),
            (source.epochs, target.epochs),
            (source.record, target.record),
        ]
        if not all(path.is_file() for path, _ in pairs):
            return False
        for path, copy in pairs:
            with path.open("rb") as file:
                write_atomically(copy, lambda out, file=file: shutil.copyfileobj(file, out))
    return True
