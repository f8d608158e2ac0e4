"""How a study stands, from its files and SLURM's queue. Imports no torch."""

from __future__ import annotations

import json
import statistics

from runners.monitor.matrix import is_large, matrix
from runners.results.leases import QUIET_S, LeaseInfo
from runners.results.plan import Plan
from runners.results.store import SENT, CellFolder, State, StudyFolder
from runners.study.cell import Cell
from runners.system.console import counted
from runners.system.durations import duration

STEPS = {
    State.MISSING: ("", "runs what is missing"),
    State.LOST: ("", "runs again what is lost"),
    State.FAILED: ("--retry-failed", "retries what failed"),
    State.STALE: ("--rerun-stale", "reruns what other code has made"),
    State.DAMAGED: ("--rerun-damaged", "reruns what is damaged"),
}
"""State -> what to add to the command, and what that does."""


def describe_status(
    plan: Plan,
    study: StudyFolder,
    command: str,
    brief: bool = False,
    no_answer: str = "",
    every_cell: bool = True,
) -> str:
    """The study as text: a line a cell, then sums, time left and what to type next.

    Args:
        command: that runs the study, without options such as `--status`.
        brief: leave out the lines of cells that are missing or done.
        no_answer: why the queue is not known, where it should be.
        every_cell: also where there are many, for which there is a matrix else.
    """
    hidden = (State.MISSING, State.DONE) if brief else ()
    chosen = [cell for cell in plan.cells if plan.states[cell.name] not in hidden]
    width = max((len(cell.name) for cell in chosen), default=0)
    in_matrix = is_large(plan) and not every_cell
    left = {
        cell.name: _seconds_left(plan, study, cell)
        for cell in plan.cells
        if plan.states[cell.name] in SENT
    }
    lines = matrix(plan) if in_matrix else []
    for cell in () if in_matrix else chosen:
        note = _note(plan, study, cell, left)
        lines.append(f"{cell.name:<{width}}  {plan.states[cell.name]:<8}  {note}".rstrip())
    lines += [*plan.warnings, *([no_answer] if no_answer else [])]
    lines.append(f"{counted(len(plan.cells), 'cell')}: {plan.counts()}{_time_left(plan, left)}")
    return "\n".join([*lines, *_next_steps(plan, command)])


def _note(plan: Plan, study: StudyFolder, cell: Cell, left: dict[str, float]) -> str:
    status, folder = plan.shown(cell.name), study.cell(cell.name)
    match plan.states[cell.name]:
        case State.RUNNING if cell.name not in plan.leases:
            return status.note
        case State.QUEUED | State.SUSPENDED | State.REQUEUED | State.LOST:
            return status.note
        case State.RUNNING:
            epoch, epochs = folder.finished_epochs(), cell.protocol["epochs"]
            done = f"epoch {epoch} of {epochs}, {duration(left[cell.name])} left"
            return f"{done}{_where(plan.leases[cell.name])}"
        case State.FAILED:
            count = f" ({status.attempts} attempts)" if status.attempts > 1 else ""
            log = f"; log: {folder.log}" if folder.log.exists() else ""
            return f"{status.note}{count}{log}"
        case State.DAMAGED:
            return status.note
        case State.DONE | State.STALE:
            warned = f"  warning: {status.note}" if status.note else ""
            return f"{100 * status.accuracy:.2f} %  {duration(status.seconds)}{warned}"
    return _interrupted(folder)


def _interrupted(folder: CellFolder) -> str:
    if not folder.checkpoint.exists():
        return ""
    seen = counted(folder.finished_epochs(), "epoch")
    return f"was cut off; resumes from its checkpoint ({seen} seen)"


def _where(lease: LeaseInfo) -> str:
    owner = lease.owner
    if owner is None:
        return ""
    job = f", job {lease.job}" if lease.job else ""
    since = f"; silent for {duration(lease.silent_s)}" if lease.silent_s > QUIET_S else ""
    return f"; on {owner.host} (process {owner.pid}, {lease.device}{job}){since}"


def _seconds_left(plan: Plan, study: StudyFolder, cell: Cell) -> float:
    if plan.states[cell.name] == State.QUEUED:
        return plan.seconds[cell.name]
    seconds = _epoch_seconds(study.cell(cell.name))
    open_epochs = max(0, cell.protocol["epochs"] - len(seconds))
    if not seconds:
        return plan.seconds[cell.name]
    return open_epochs * statistics.median(seconds)


def _epoch_seconds(folder: CellFolder) -> list[float]:
    """Seconds of the finished epochs of a running cell; its last line may be half written."""
    try:
        lines = folder.running_epochs.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    seconds = []
    for line in lines:
        try:
            seconds.append(float(json.loads(line)["seconds"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            break
    return seconds


def _time_left(plan: Plan, left: dict[str, float]) -> str:
    if not plan.leases:
        return ""
    waiting = sum(plan.seconds[cell.name] for cell in plan.with_state(State.MISSING))
    return f"; about {duration((waiting + sum(left.values())) / len(plan.leases))} left"


def _next_steps(plan: Plan, command: str) -> list[str]:
    stuck = sum(status.stuck for status in plan.queue.values())
    cancel = [f"next: {command} --cancel  # ends what waits for a person ({stuck})"]
    if set(SENT) & set(plan.states.values()):
        return [f"watch it: {command} --watch", *(cancel if stuck else [])]
    lines = []
    for state, (option, what) in STEPS.items():
        cells = plan.with_state(state)
        if passing := [cell for cell in cells if plan.shown(cell.name).transient]:
            lines.append(f"next: {command}  # retries what may pass ({len(passing)})")
        if left := len(cells) - len(passing):
            lines.append(f"next: {f'{command} {option}'.rstrip()}  # {what} ({left})")
    return lines
