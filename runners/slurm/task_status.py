"""What became of submitted cells: own files first, then the queue, then what evidence there is.

Accounting is used where it is there and never needed. A result pickle of submitit is not read: it
tells how a task ended, which is not how its cells did.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from runners.results.store import CellStatus, State
from runners.slurm import attempts, client
from runners.slurm.array_tasks import ArrayTask, Queue, newest_tasks
from runners.slurm.client import Evidence, Row
from runners.slurm.manifest import Manifest, Sent
from runners.slurm.messages import stuck
from runners.slurm.task_spec import is_open, submitted_jobs
from runners.system.durations import duration
from runners.system.errors import FullDisk
from runners.system.signals import Terminated

SENDING_S = 60.0
"""Seconds after which an array that is being sent and not in the queue was never submitted."""

UNSEEN_S = 60.0
"""Seconds after the end of a task in which its last files may not be seen here: NFS is late."""

LOG_BYTES = 8000

MEMORY = ("out of memory: raise slurm.mem", False)
CANCELLED = ("cancelled", False)
KILLED = ("the task was killed", True)
TERMINATED = ("the task was asked to end by SIGTERM", True)
TIME_LIMIT = ("the time limit came before it could requeue itself", True)
NO_PROGRESS = ("the time limit came before it got on: raise slurm.time", False)
FULL_DISK = ("nothing more could be written: make room on the disk of the results", True)

IN_LOG = (
    ("exceeded memory limit", *MEMORY),
    ("oom-kill", *MEMORY),
    ("oom_kill", *MEMORY),
    ("Out Of Memory", *MEMORY),
    (f"{FullDisk.__qualname__}: ", *FULL_DISK),
    ("No space left on device", *FULL_DISK),
    ("Disk quota exceeded", *FULL_DISK),
    ("DUE TO TIME LIMIT", *TIME_LIMIT),
    ("DUE TO PREEMPTION", "preempted and not requeued", True),
    ("DUE TO NODE FAILURE", "its node failed", True),
    ("'requeue'", "SLURM did not take its requeue", True),
    ("DUE TO JOB REQUEUE", "requeued by an operator or the cluster, and gone since", True),
    (" CANCELLED AT ", *CANCELLED),
    ("User defined signal 2", *NO_PROGRESS),  # SLURM's warning, before submitit listens to it
    ("Killed", *KILLED),
    (f"{Terminated.__module__}.{Terminated.__qualname__}", *TERMINATED),
    ("could not find submitted jobs", "the task did not see the files of its submission", True),
)
"""Words in a task's log, what they mean, and whether it may pass: of the last line that has any,
the first words of this table."""

IN_STATE = {
    "OUT_OF_MEMORY": MEMORY,
    "TIMEOUT": TIME_LIMIT,
    "DEADLINE": ("its deadline has passed", False),
    "NODE_FAIL": ("its node failed", True),
    "BOOT_FAIL": ("its node did not start", True),
    "PREEMPTED": ("preempted and not requeued", True),
    "CANCELLED": CANCELLED,
}


def in_the_queue(
    submissions: Iterable[Manifest], queue: Queue, statuses: Mapping[str, CellStatus], sending: bool
) -> dict[str, CellStatus]:
    """What the queue adds to the files, for the cells that were submitted and have not ended since.

    Args:
        submissions: of the study, read before the queue was asked: it may know newer ones.
        queue: its answer.
        statuses: cell name -> what its files say, read after the answer: what a task has written
            before its row was final or gone is among it.
        sending: whether a command is submitting this study.
    """
    judge = _Judge(queue, sending)
    open_cells = {}
    for cell, task in newest_tasks(submissions).items():
        if cell in statuses:
            job = submitted_jobs(task.manifest.folder).get(cell)
            if is_open(job, statuses[cell], queue.is_active(task)):
                open_cells[cell] = task
    judge.ask_accounting(open_cells.values())
    judged = {cell: judge.status(task) for cell, task in open_cells.items()}
    return {cell: status for cell, status in judged.items() if status is not None}


class _Judge:
    """Judges tasks, each once."""

    def __init__(self, queue: Queue, sending: bool) -> None:
        self.queue, self.sending = queue, sending
        self._begun: dict[Path, set[str]] = {}
        self._sights: dict[tuple[Path, str], CellStatus | None] = {}
        self._accounted: dict[str, list[Evidence]] = {}

    def ask_accounting(self, tasks: Iterable[ArrayTask]) -> None:
        """One question for all tasks that the queue does not explain."""
        if self.queue.answered:
            silent = {e.id for e in tasks if e.id and not self.queue.is_active(e)}
            self._accounted = client.sacct(sorted(silent)) if silent else {}

    def status(self, task: ArrayTask) -> CellStatus | None:
        """What a task's place in the queue says of its cells; None: it was never submitted."""
        key = (task.manifest.folder, task.name)
        if key not in self._sights:
            self._sights[key] = self._judged(task)
        return self._sights[key]

    def has_begun(self, task: ArrayTask) -> bool:
        folder = task.manifest.folder
        if folder not in self._begun:
            self._begun[folder] = attempts.begun(folder)
        return task.name in self._begun[folder]

    def _judged(self, task: ArrayTask) -> CellStatus | None:
        array = task.array
        if array.state in (Sent.PLANNED, Sent.SENDING):
            return self._being_sent(task)
        if array.state != Sent.SUBMITTED:
            return None
        if not self.queue.answered:
            return CellStatus(State.QUEUED, f"was sent as job {task.id}; no answer from SLURM")
        row = self.queue.row(task)
        if row is not None and not row.final:
            return self._active(row, task)
        return self._verdict(row, task)

    def _being_sent(self, task: ArrayTask) -> CellStatus | None:
        array = task.array
        if self.sending:
            return CellStatus(State.QUEUED, "is being submitted")
        if array.state == Sent.PLANNED:
            return None
        if rows := self.queue.active(array):
            job = rows[0].id.partition("_")[0]
            taken = replace(array, state=Sent.SUBMITTED, id=job)
            status = self._judged(replace(task, array=taken))
            return status and replace(status, note=f"{status.note}; its submitter was killed")
        age = (datetime.now(UTC) - array.noted).total_seconds()
        if not self.queue.answered or age < SENDING_S:  # sbatch may outlive its submitter
            return CellStatus(State.QUEUED, "its submitter was killed and may have sent it")
        return None

    def _active(self, row: Row, task: ArrayTask) -> CellStatus:
        job = f"job {row.id}"
        if row.state == "PENDING":
            change = stuck(row.reason)
            why = change or f"waits ({row.reason.strip('()')})"
            if self.has_begun(task):
                note = f"{job} resumes from its checkpoints: {why}"
                return CellStatus(State.REQUEUED, note, stuck=change is not None)
            return CellStatus(State.QUEUED, f"{job}: {why}", stuck=change is not None)
        if row.state == "SUSPENDED":
            return CellStatus(
                State.SUSPENDED, f"{job} on {row.node} stands still until it is resumed"
            )
        since = ""
        if row.start is not None:
            seconds = (datetime.now() - row.start).total_seconds()
            since = f" since {duration(max(0.0, seconds))}"
        return CellStatus(
            State.RUNNING, f"{job} runs on {row.node}{since}; no sign of this cell now"
        )

    def _verdict(self, row: Row | None, task: ArrayTask) -> CellStatus:
        """A task that is over, or that nobody knows any more, although its cell has not ended."""
        state = row.state if row else self._accounted_state(task)
        log, has_begun = _log_tail(task), self.has_begun(task)
        # A waiting element leaves no trace; of one that waited for its next start, we noted it.
        if not state and (task.was_cancelled() if has_begun else not log):
            return CellStatus(State.FAILED, f"cancelled (job {task.id})")
        named = IN_STATE.get(state.split(" ")[0].rstrip("+"))
        words = named or _named_in(log)
        if words == TIME_LIMIT and not task.got_on():
            words = NO_PROGRESS
        if words is not None:
            note, transient = words
            return CellStatus(State.FAILED, f"{note} (job {task.id})", transient=transient)
        if state.startswith("FAILED") and (error := _last_error(log, has_begun)):
            return CellStatus(State.FAILED, f"the task failed: {error} (job {task.id})")
        if row and row.end and (datetime.now() - row.end).total_seconds() < UNSEEN_S:
            return CellStatus(State.RUNNING, f"job {task.id} has just ended; its files are awaited")
        known = f"SLURM says {state}" if state else "SLURM does not know it any more"
        return CellStatus(State.LOST, f"job {task.id} is over without a result: {known}")

    def _accounted_state(self, task: ArrayTask) -> str:
        evidence = self._accounted.get(task.id or "", [])
        return evidence[-1].state if evidence else ""


def _log_tail(task: ArrayTask) -> str:
    """The end of what the last attempt has written."""
    for path in reversed(task.logs()):  # standard error
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_BYTES))
                return file.read().decode(errors="replace").rpartition(attempts.BEGINS)[2]
        except OSError:
            continue
    return ""


def _named_in(log: str) -> tuple[str, bool] | None:
    lines = ([words for part, *words in IN_LOG if part in line] for line in log.splitlines())
    named = [tuple(meanings[0]) for meanings in lines if meanings]
    # SLURM's own words, where there are any, say why it was asked.
    named = [words for words in named if words != TERMINATED] or named
    if not named:
        return None
    # The step daemon's kill for running out of memory ends in the words of any kill.
    why = [words for words in named if words not in (CANCELLED, KILLED)]
    return MEMORY if why and why[-1] == MEMORY else named[-1]


def _last_error(log: str, has_begun: bool) -> str:
    """The last exception, or the last words of a task that never came to its cells."""
    errors = re.findall(r"^\w[\w.]*(?:Error|Exception): .*$", log, re.MULTILINE)
    if not errors and not has_begun:
        errors = [line for line in log.splitlines() if line.strip()]
    return errors[-1].strip()[:300] if errors else ""
