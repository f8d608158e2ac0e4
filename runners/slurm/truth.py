"""What became of submitted cells: own files first, then the queue, then what evidence there is.

Accounting is used where it is there and never needed. A result pickle of submitit is not read: it
tells how a task ended, which is not how its cells did.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from runners.launch import FullDisk
from runners.plan import duration
from runners.slurm import attempts, client
from runners.slurm.client import Evidence, Row
from runners.slurm.elements import Element, Queue, newest_elements
from runners.slurm.manifest import Array, Manifest, Sent
from runners.slurm.orders import read_marks
from runners.slurm.words import reason
from runners.stopping import Terminated
from runners.store import Sight, State

SENDING_S = 60.0
"""Seconds after which an array that is being sent and not in the queue was never submitted."""

LOG_BYTES = 8000

MEMORY = ("out of memory: raise slurm.mem", False)
CANCELLED = ("cancelled", False)
KILLED = ("the task was killed", True)
TERMINATED = ("the task was asked to end by SIGTERM", True)
FULL_DISK = ("nothing more could be written: make room on the disk of the results", True)

IN_LOG = (
    ("exceeded memory limit", *MEMORY),
    ("oom-kill", *MEMORY),
    ("oom_kill", *MEMORY),
    ("Out Of Memory", *MEMORY),
    (f"{FullDisk.__qualname__}: ", *FULL_DISK),
    ("No space left on device", *FULL_DISK),
    ("Disk quota exceeded", *FULL_DISK),
    ("DUE TO TIME LIMIT", "the time limit came before it could requeue itself", True),
    ("DUE TO PREEMPTION", "preempted and not requeued", True),
    ("DUE TO NODE FAILURE", "its node failed", True),
    ("'requeue'", "SLURM did not take its requeue", True),
    ("DUE TO JOB REQUEUE", "requeued by an operator or the cluster, and gone since", True),
    (" CANCELLED AT ", *CANCELLED),
    ("Killed", *KILLED),
    (f"{Terminated.__module__}.{Terminated.__qualname__}", *TERMINATED),
    ("could not find submitted jobs", "the task did not see the files of its submission", True),
)
"""Words in a task's log, what they mean, and whether it may pass: of the last line that has any,
the first words of this table."""

IN_STATE = {
    "OUT_OF_MEMORY": MEMORY,
    "TIMEOUT": ("the time limit came before it could requeue itself", True),
    "DEADLINE": ("its deadline has passed", False),
    "NODE_FAIL": ("its node failed", True),
    "BOOT_FAIL": ("its node did not start", True),
    "PREEMPTED": ("preempted and not requeued", True),
    "CANCELLED": CANCELLED,
}


def in_the_queue(
    submissions: Iterable[Manifest], queue: Queue, sights: Mapping[str, Sight], sending: bool
) -> dict[str, Sight]:
    """What the queue adds to the files, for the cells that were submitted and have not ended since.

    Args:
        submissions: of the study, read before the queue was asked: it may know newer ones.
        queue: its answer.
        sights: cell name -> what its files say, read after the answer: whatever a task has written
            before its row was final or gone is among it.
        sending: whether a command is submitting this study.
    """
    judge = _Judge(queue, sending)
    open_cells = {}
    for cell, element in newest_elements(submissions).items():
        if cell in sights and _is_open(sights[cell], cell, element):
            open_cells[cell] = element
    judge.ask_accounting(open_cells.values())
    judged = {cell: judge.sight(element) for cell, element in open_cells.items()}
    return {cell: sight for cell, sight in judged.items() if sight is not None}


def _is_open(sight: Sight, cell: str, element: Element) -> bool:
    if sight.state == State.DONE:
        return False
    marks = read_marks(element.manifest.folder)
    return marks.get(cell, (State.MISSING, 0)) == sight.mark or sight.state == State.MISSING


class _Judge:
    """Judges tasks, each once."""

    def __init__(self, queue: Queue, sending: bool) -> None:
        self.queue, self.sending = queue, sending
        self._begun: dict[Path, set[str]] = {}
        self._sights: dict[tuple[Path, str], Sight | None] = {}
        self._accounted: dict[str, list[Evidence]] = {}

    def ask_accounting(self, elements: Iterable[Element]) -> None:
        """One question for all tasks that the queue does not explain."""
        if self.queue.answered:
            silent = {e.id for e in elements if e.id and not self.queue.is_active(e)}
            self._accounted = client.sacct(sorted(silent)) if silent else {}

    def sight(self, element: Element) -> Sight | None:
        """What a task's place in the queue says of its cells; None: it was never submitted."""
        key = (element.manifest.folder, element.task)
        if key not in self._sights:
            self._sights[key] = self._judged(element)
        return self._sights[key]

    def has_begun(self, element: Element) -> bool:
        folder = element.manifest.folder
        if folder not in self._begun:
            self._begun[folder] = attempts.begun(folder)
        return element.task in self._begun[folder]

    def _judged(self, element: Element) -> Sight | None:
        array = element.array
        if array.state in (Sent.PLANNED, Sent.SENDING):
            return self._being_sent(array)
        if array.state != Sent.SUBMITTED:
            return None
        if not self.queue.answered:
            return Sight(State.QUEUED, f"was sent as job {element.id}; no answer from SLURM")
        row = self.queue.row(element)
        if row is not None and not row.final:
            return self._active(row, element)
        return self._verdict(row, element)

    def _being_sent(self, array: Array) -> Sight | None:
        if self.sending:
            return Sight(State.QUEUED, "is being submitted")
        if array.state == Sent.PLANNED:
            return None
        age = (datetime.now(UTC) - array.noted).total_seconds()
        if not self.queue.answered or age < SENDING_S:  # sbatch may outlive its submitter
            return Sight(State.QUEUED, "its submitter was killed and may have sent it")
        if rows := self.queue.active(array):
            job = rows[0].id.partition("_")[0]
            note = f"its submitter was killed and has sent it as job {job}: to be submitted again"
            return Sight(State.QUEUED, note)
        return None

    def _active(self, row: Row, element: Element) -> Sight:
        job = f"job {row.id}"
        if row.state == "PENDING":
            why = reason(row.reason).sentence
            if self.has_begun(element):
                return Sight(State.REQUEUED, f"{job} goes on from its checkpoints: {why}")
            return Sight(State.QUEUED, f"{job}: {why}")
        if row.state == "SUSPENDED":
            return Sight(State.SUSPENDED, f"{job} on {row.node} stands still until it is resumed")
        since = ""
        if row.start is not None:
            seconds = (datetime.now() - row.start).total_seconds()
            since = f" since {duration(max(0.0, seconds))}"
        return Sight(State.RUNNING, f"{job} runs on {row.node}{since}; no sign of this cell now")

    def _verdict(self, row: Row | None, element: Element) -> Sight:
        """A task that is over, or that nobody knows any more, although its cell has not ended."""
        state = row.state if row else self._accounted_state(element)
        log = _log_tail(element)
        if not (state or log or self.has_begun(element)):  # a waiting element leaves no trace
            return Sight(State.FAILED, f"cancelled (job {element.id})")
        named = IN_STATE.get(state.split(" ")[0].rstrip("+"))
        words = named or _named_in(log)
        if words is not None:
            note, transient = words
            return Sight(State.FAILED, f"{note} (job {element.id})", transient=transient)
        if state.startswith("FAILED") and (error := _last_error(log)):
            return Sight(State.FAILED, f"the task failed: {error} (job {element.id})")
        known = f"SLURM says {state}" if state else "SLURM does not know it any more"
        return Sight(State.LOST, f"job {element.id} is over without a result: {known}")

    def _accounted_state(self, element: Element) -> str:
        found = self._accounted.get(element.id or "", [])
        return found[-1].state if found else ""


def _log_tail(element: Element) -> str:
    """The end of what the last attempt has written."""
    for path in reversed(element.logs()):  # standard error
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_BYTES))
                return file.read().decode(errors="replace").rpartition(attempts.BEGINS)[2]
        except OSError:
            continue
    return ""


def _named_in(log: str) -> tuple[str, bool] | None:
    lines = ([words for part, *words in IN_LOG if part in line] for line in log.splitlines())
    named = [tuple(found[0]) for found in lines if found]
    # SLURM's own words, where there are any, say why it was asked.
    named = [words for words in named if words != TERMINATED] or named
    if not named:
        return None
    # The step daemon's kill for want of memory ends in the words of any kill.
    why = [words for words in named if words not in (CANCELLED, KILLED)]
    return MEMORY if why and why[-1] == MEMORY else named[-1]


def _last_error(log: str) -> str:
    errors = re.findall(r"^\w[\w.]*(?:Error|Exception): .*$", log, re.MULTILINE)
    return errors[-1][:300] if errors else ""
