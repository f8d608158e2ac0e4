"""Made-up submissions and queues, and what is said of their cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic_core import to_jsonable_python

from runners.results.job import Job
from runners.results.store import CellStatus, State
from runners.slurm import attempts, manifest
from runners.slurm.array_tasks import Queue
from runners.slurm.client import Row
from runners.slurm.manifest import Manifest, Sent
from runners.slurm.task_spec import TaskSpec
from runners.slurm.task_status import in_the_queue
from runners.system.files import write_json
from tests.helpers.cells import make_cell

CELLS = ("a", "b", "c")
AGES = {"young": timedelta(0), "old": timedelta(minutes=2)}
KILLED = "srun: error: n1: task 0: Killed\n"
"""What srun writes when a task was killed."""


def sent(folder: Path, state: Sent = Sent.SUBMITTED, age: str = "young") -> Manifest:
    """A submission of three cells, each an element of array 12."""
    made = manifest.plan(folder / "s", [[[cell] for cell in CELLS]])
    write_jobs(made, dict.fromkeys(CELLS, (State.MISSING, 0)))
    made = made.noting(made.arrays[0].name, state, id="12" if state == Sent.SUBMITTED else None)
    noted = datetime.now(UTC) - AGES[age]
    return replace(made, arrays=tuple(replace(array, noted=noted) for array in made.arrays))


def write_jobs(made: Manifest, versions: dict[str, tuple[State, int]]) -> None:
    """The work of the submission: cells as they looked then, each with one retry."""
    cell = make_cell("gce")
    jobs = {name: Job(cell, version, "", 1) for name, version in versions.items()}
    spec = TaskSpec(jobs, made.folder, "s", None, 1, 10.0, "cpu", 1, 1, 60, 90, False)
    write_json(made.folder / "orders.json", to_jsonable_python(spec))


def begin(made: Manifest, log: str = "", progress: str = "none") -> None:
    """The task of the first element has begun, and its standard error holds this.

    Its cell had come so far then: files that say nothing are "missing 0".
    """
    task = f"{made.arrays[0].name}-0"
    attempts.note(made.folder, task, what="began", progress={CELLS[0]: progress})
    (made.folder / "12_0_0_log.err").write_text(log)


def row(
    made: Manifest, state: str, reason: str = "None", id: str = "12_0", ended: str = "old"
) -> Row:
    now = datetime.now()
    return Row(id, state, reason, now, now - AGES[ended], "n1", made.arrays[0].name)


def seen(
    made: Manifest, rows: Sequence[Row] | None, sending: bool = False, **statuses: CellStatus
) -> dict[str, CellStatus]:
    """What is said of the cells, of which nothing else is known unless `sights` says so."""
    known = {cell: statuses.get(cell, CellStatus(State.MISSING)) for cell in CELLS}
    return in_the_queue([made], Queue(rows), known, sending)
