"""The last words of a run: how the selection stands, and what to type next."""

from __future__ import annotations

import sys
from pathlib import Path

from runners.results.plan import Plan
from runners.results.store import State, StudyFolder
from runners.system.command_line import command_line
from runners.system.console import counted


def last_words(plan: Plan, has_run: bool, tried: set[str], folder: StudyFolder) -> int:
    """Says how the selection stands after the cells `tried` were run; returns the exit code."""
    failed = plan.with_state(State.FAILED, State.LOST)
    as_before = [c for c in plan.with_state(State.STALE, State.DAMAGED) if c.name in tried]
    for cell in [*failed, *as_before]:
        files = folder.cell(cell.name)
        reason = files.unfinished().note if cell in as_before else plan.shown(cell.name).note
        if cell.name not in tried:
            print(f"failed before: {cell.name}{_seen(files.failed)}", file=sys.stderr)
            continue
        seen = _seen(files.log, "log: ") or _seen(files.failed)
        print(f"failed: {cell.name}: {reason}{seen}", file=sys.stderr)
    damaged = plan.with_state(State.DAMAGED)
    for cell in damaged:
        print(f"damaged: {plan.statuses[cell.name].note}", file=sys.stderr)
    if damaged:
        again = command_line("--rerun-damaged")
        what = "1 record is" if len(damaged) == 1 else f"{len(damaged):,} records are"
        print(f"{what} damaged; rerun: {again}", file=sys.stderr)
    if failed:
        again = command_line("--retry-failed")
        print(f"{counted(len(failed), 'cell')} failed; retry: {again}", file=sys.stderr)
    if stale := plan.with_state(State.STALE):
        again = command_line("--rerun-stale")
        what = "1 cell is" if len(stale) == 1 else f"{len(stale):,} cells are"
        print(f"{what} stale, run by other code or on other data than today's; rerun: {again}")
    done = len(plan.with_state(State.DONE, State.STALE))
    said = "done" if has_run or done < len(plan.cells) else "done already, nothing to run"
    print(f"{done} of {counted(len(plan.cells), 'cell')} {said}; results in {folder.path}")
    return int(done < len(plan.cells) or bool(as_before))


def _seen(path: Path, word: str = "see ") -> str:
    """Where to read more; a cell whose task never began has no files."""
    return f" ({word}{path})" if path.exists() else ""


def remove_old_checkpoints(plan: Plan, folder: StudyFolder) -> None:
    """Those of cells whose process was killed between the record and the removal."""
    for cell in plan.with_state(State.DONE):
        files = folder.cell(cell.name)
        for path in (files.running_epochs, files.checkpoint):
            path.unlink(missing_ok=True)
