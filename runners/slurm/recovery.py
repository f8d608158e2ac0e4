"""Arrays whose submitter died are taken over or withdrawn; what is cancelled is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from runners.results.leases import Lease
from runners.results.store import StudyFolder
from runners.slurm import client, manifest
from runners.slurm.array_tasks import ArrayTask, Queue
from runners.slurm.manifest import Array, Manifest, Sent
from runners.system.errors import UserError

PATIENCE_S = 60.0
"""Seconds that cancelled tasks are given to leave the queue: they may write a checkpoint first."""


@dataclass(frozen=True)
class Withdrawn:
    """What was cancelled.

    Attributes:
        ids: of the jobs and arrays.
        complaints: of scancel.
        left: whether all of it has left the queue.
    """

    ids: tuple[str, ...]
    complaints: tuple[str, ...] = ()
    left: bool = True


def submitting(study: StudyFolder) -> Lease:
    """The lease of the one command that may change what is sent of a study.

    Raises:
        UserError: another command holds it.
    """
    lease = study.leases.take(manifest.SUBMITTING)
    if lease is None:
        raise UserError(f"{study.path}: another command is submitting this study: try again later")
    return lease


def withdraw(arrays: Iterable[Array], queue: Queue) -> Withdrawn:
    """Cancels whatever is in the queue under the names of arrays, and waits until it is gone.

    By name: a submitter that had no answer from sbatch may have sent an array twice.

    Raises:
        CommandMissing: there is no scancel or squeue.
        ControllerDown: no answer; some may be cancelled.
    """
    named = list(arrays)
    return _cancelled(
        lambda now: {row.id.partition("_")[0] for array in named for row in now.active(array)},
        queue,
    )


def withdraw_tasks(tasks: Iterable[ArrayTask], queue: Queue) -> Withdrawn:
    """The same for single tasks, whose ids are known."""
    named = list(tasks)
    return _cancelled(lambda now: {each.id for each in named if now.is_active(each)}, queue)


def _cancelled(active: Callable[[Queue], set[str]], queue: Queue) -> Withdrawn:
    ids = sorted(active(queue))
    if not ids:
        return Withdrawn(())
    complaints = client.scancel(ids)
    end = time.monotonic() + PATIENCE_S
    while left := bool(active(Queue(client.squeue()))):
        if time.monotonic() > end:
            break
        time.sleep(1)
    return Withdrawn(tuple(ids), tuple(complaints), not left)


def settle(study: StudyFolder, queue: Queue) -> None:
    """Finds out about arrays whose submitter died. Only under the lease `manifest.SUBMITTING`.

    One in the queue is taken over if its tasks can run, and cancelled if their pickles were not in
    place yet; one that is not there was never submitted. An sbatch that outlives its submitter may
    bring an array into the queue that was given up before: it is cancelled.

    Raises:
        SlurmError: no answer from SLURM.
    """
    for submission in manifest.read_all(study.path).readable:
        for array in submission.arrays:
            if array.state in (Sent.PLANNED, Sent.SENDING):
                submission = _settled(submission, array, queue)
            elif array.state == Sent.NEVER:
                withdraw([array], queue)


def _settled(submission: Manifest, array: Array, queue: Queue) -> Manifest:
    rows = queue.named(array)
    if rows:
        number = rows[0].id.partition("_")[0]
        taken = replace(array, id=number)
        pickles = (f"{taken.task_id(k)}_submitted.pkl" for k in range(len(array.tasks)))
        if all((submission.folder / name).exists() for name in pickles):
            return submission.noting(array.name, Sent.SUBMITTED, id=number)
        withdraw([array], queue)
    return submission.noting(array.name, Sent.NEVER)
