"""What became of submitted cells: own files first, then the queue, then what evidence there is.

Accounting is used where it is there and never needed. A result pickle of submitit is not read: it
tells how a task ended, which is not how its cells did.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runners.launch import FullDisk
from runners.leases import QUIET_S, Claim
from runners.plan import duration
from runners.slurm import attempts, client
from runners.slurm.client import Evidence, Row
from runners.slurm.manifest import Array, Manifest, Sent, read_all
from runners.slurm.orders import read_marks
from runners.slurm.words import reason
from runners.store import Sight, State, StudyFolder

SENDING_S = 60.0
"""Seconds after which an array that is being sent and not in the queue was never submitted."""

LOG_BYTES = 8000

MEMORY = ("out of memory: raise slurm.mem", False)
CANCELLED = ("cancelled", False)
KILLED = ("the task was killed", True)
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


@dataclass(frozen=True)
class Element:
    """One task of a submission, with the number of its element in the array."""

    manifest: Manifest
    array: Array
    number: int

    @property
    def id(self) -> str | None:
        return self.array.element(self.number)

    @property
    def task(self) -> str:
        return attempts.name_of(self.array.name, self.number)

    def logs(self) -> list[Path]:
        """Its standard output and error, of all attempts."""
        ends = ("out", "err")
        return [self.manifest.folder / f"{self.id}_0_log.{end}" for end in ends] if self.id else []


def newest_elements(study: StudyFolder) -> dict[str, Element]:
    """Cell name -> the last task that it was submitted with."""
    found = {}
    for manifest in read_all(study.path).found:
        for array, number, cells in manifest.elements():
            element = Element(manifest, array, number)
            found.update(dict.fromkeys(cells, element))
    return found


class Queue:
    """The queue as one call of squeue shows it; `rows` is None where there was no answer."""

    def __init__(self, rows: Sequence[Row] | None) -> None:
        self.answered = rows is not None
        self._by_id = {row.id: row for row in rows or ()}
        self._by_name: dict[str, list[Row]] = {}
        for row in rows or ():
            self._by_name.setdefault(row.name, []).append(row)

    def row(self, element: Element) -> Row | None:
        return self._by_id.get(element.id) if element.id else None

    def named(self, array: Array) -> list[Row]:
        """The rows of an array whose id is not known."""
        return self._by_name.get(array.name, [])

    def denies(self, claim: Claim) -> bool:
        """Whether the holder of a lease went silent and its task does not run any more.

        The node of a task that was requeued may be gone, and nobody can ask it: its lease counts
        until it was silent for long enough.
        """
        if not self.answered or claim.job is None or claim.silent_s <= QUIET_S:
            return False
        row = self._by_id.get(claim.job)
        return row is None or row.final or row.state == "PENDING"

    def is_active(self, element: Element) -> bool:
        """Whether a task may still run: then its cells must not be submitted again."""
        row = self.row(element)
        return row is not None and not row.final


def in_the_queue(study: StudyFolder, sights: Mapping[str, Sight], queue: Queue) -> dict[str, Sight]:
    """What the queue adds to the files, for the cells that were submitted and have not ended since.

    Args:
        sights: cell name -> what its files say, read before `queue` was asked.
    """
    judge = _Judge(queue)
    open_cells = {}
    for cell, element in newest_elements(study).items():
        if cell in sights and _is_open(sights[cell], cell, element):
            open_cells[cell] = element
    judge.ask_accounting(open_cells.values())
    found = {}
    for cell, element in open_cells.items():
        sight = judge.sight(element)
        # They may have come between the first look and the queue's answer.
        if sight is not None and study.cell(cell).sight().mark == sights[cell].mark:
            found[cell] = sight
    return found


def _is_open(sight: Sight, cell: str, element: Element) -> bool:
    if sight.state == State.DONE:
        return False
    marks = read_marks(element.manifest.folder)
    return marks.get(cell, (State.MISSING, 0)) == sight.mark or sight.state == State.MISSING


class _Judge:
    """Judges tasks, each once."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
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
        age = (datetime.now(UTC) - array.noted).total_seconds()
        if self.queue.named(array) or age < SENDING_S:
            return Sight(State.QUEUED, "is being submitted")
        return None

    def _active(self, row: Row, element: Element) -> Sight:
        job = f"job {row.id}"
        if row.state == "PENDING":
            why = reason(row.reason).sentence
            if self.has_begun(element):
                return Sight(State.REQUEUED, f"{job} goes on from its checkpoints: {why}")
            return Sight(State.QUEUED, f"{job}: {why}")
        if row.state == "SUSPENDED":
            return Sight(State.RUNNING, f"{job} on {row.node} is suspended")
        since = ""
        if row.start is not None:
            seconds = (datetime.now() - row.start).total_seconds()
            since = f" since {duration(max(0.0, seconds))}"
        return Sight(State.RUNNING, f"{job} runs on {row.node}{since}; no sign of this cell now")

    def _verdict(self, row: Row | None, element: Element) -> Sight:
        """A task that is over, or that nobody knows any more, although its cell has not ended."""
        state = row.state if row else self._accounted_state(element)
        begun, log = self.has_begun(element), _log_tail(element)
        waited_in_vain = "could not find submitted jobs" in log  # its submitter was killed
        if not begun and not waited_in_vain and (not state or state.startswith("CANCELLED")):
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
    for path in reversed(element.logs()):  # standard error
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_BYTES))
                return file.read().decode(errors="replace")
        except OSError:
            continue
    return ""


def _named_in(log: str) -> tuple[str, bool] | None:
    lines = ([words for part, *words in IN_LOG if part in line] for line in log.splitlines())
    named = [tuple(found[0]) for found in lines if found]
    if not named:
        return None
    # The step daemon's kill for want of memory ends in the words of any kill.
    why = [words for words in named if words not in (CANCELLED, KILLED)]
    return MEMORY if why and why[-1] == MEMORY else named[-1]


def _last_error(log: str) -> str:
    errors = re.findall(r"^\w[\w.]*(?:Error|Exception): .*$", log, re.MULTILINE)
    return errors[-1][:300] if errors else ""
