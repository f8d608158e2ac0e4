"""The tasks of submissions, and the queue that may hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.results.leases import QUIET_S, LeaseInfo
from runners.results.store import StudyFolder
from runners.slurm import attempts
from runners.slurm.client import Row
from runners.slurm.manifest import Array, Manifest


@dataclass(frozen=True)
class ArrayTask:
    """One task of a submission, with the number of its element in the array."""

    manifest: Manifest
    array: Array
    number: int

    @property
    def id(self) -> str | None:
        return self.array.task_id(self.number)

    @property
    def name(self) -> str:
        return attempts.name_of(self.array.name, self.number)

    @property
    def cells(self) -> tuple[str, ...]:
        return self.array.tasks[self.number]

    def was_cancelled(self) -> bool:
        """Whether `--cancel` took the task out of the queue after it had run."""
        last = attempts.notes(self.manifest.folder, self.name)[-1:]
        return [line.get("what") for line in last] == [attempts.CANCELLED]

    def got_on(self) -> bool:
        """Whether the files of its cells have changed since its last attempt began."""
        folder = self.manifest.folder
        began = [e for e in attempts.notes(folder, self.name) if e.get("what") == "began"]
        study = StudyFolder(folder.parents[2], folder.parents[1].name)
        return bool(began) and began[-1].get("progress") != attempts.progress(study, self.cells)

    def logs(self) -> list[Path]:
        """Its standard output and error, of all attempts."""
        ends = ("out", "err")
        return [self.manifest.folder / f"{self.id}_0_log.{end}" for end in ends] if self.id else []


def newest_tasks(submissions: Iterable[Manifest]) -> dict[str, ArrayTask]:
    """Cell name -> the last task that it was submitted with."""
    newest = {}
    for manifest in submissions:
        for array, number, cells in manifest.tasks():
            task = ArrayTask(manifest, array, number)
            newest.update(dict.fromkeys(cells, task))
    return newest


class Queue:
    """The queue as one call of squeue shows it; `rows` is None where there was no answer."""

    def __init__(self, rows: Sequence[Row] | None) -> None:
        self.answered = rows is not None
        self._by_id = {row.id: row for row in rows or ()}
        self._by_name: dict[str, list[Row]] = {}
        for row in rows or ():
            self._by_name.setdefault(row.name, []).append(row)

    def row(self, task: ArrayTask) -> Row | None:
        return self._by_id.get(task.id) if task.id else None

    def named(self, array: Array) -> list[Row]:
        """The rows of an array, whose id need not be known."""
        return self._by_name.get(array.name, [])

    def active(self, array: Array) -> list[Row]:
        """Those of its rows that are not final."""
        return [row for row in self.named(array) if not row.final]

    def denies(self, lease_info: LeaseInfo) -> bool:
        """Whether the holder of a lease went silent and its task does not run any more.

        The node of a task that was requeued may be gone, and nobody can ask it: its lease counts
        until it was silent for long enough.
        """
        row = self._by_id.get(lease_info.job or "")
        over = row is not None and (row.final or row.state == "PENDING")
        return over and lease_info.silent_s > QUIET_S

    def is_active(self, task: ArrayTask) -> bool:
        """Whether a task may still run: then its cells must not be submitted again."""
        row = self.row(task)
        return row is not None and not row.final
