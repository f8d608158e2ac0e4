"""Takes out of the queue what a study has there."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace

from runners.results.store import StudyFolder
from runners.slurm import attempts, client, manifest
from runners.slurm.array_tasks import ArrayTask, Queue
from runners.slurm.commands import SlurmError
from runners.slurm.recovery import Withdrawn, settle, submitting, withdraw, withdraw_tasks


def cancel(study: StudyFolder, only: Collection[str] | None = None) -> int:
    """Cancels what this study has in the queue, and only that; returns the exit code.

    Args:
        only: names of cells; a task that runs others too is left.

    Raises:
        UserError: another command is submitting this study.
    """
    if not manifest.read_all(study.path).readable:
        print("nothing of this study was ever sent to SLURM")
        return 0
    try:
        with submitting(study):
            done = _cancelled(study, only, Queue(client.squeue()))
    except SlurmError as error:
        print(f"{error}; nothing is known to be cancelled", file=sys.stderr)
        return 1
    for complaint in done.complaints:
        print(complaint, file=sys.stderr)
    what = f"cancelled: {', '.join(done.ids)}" if done.ids else "nothing is in the queue"
    still = "" if done.left else "; some tasks are still ending"
    print(f"{what}{still}; finished cells and checkpoints are kept")
    return int(bool(done.complaints))


def _cancelled(study: StudyFolder, only: Collection[str] | None, queue: Queue) -> Withdrawn:
    if only is not None:
        settle(study, queue)  # for the ids of all tasks
    manifests = manifest.read_all(study.path).readable
    tasks = [
        ArrayTask(submission, array, k)
        for submission in manifests
        for array, k, _ in submission.tasks()
    ]
    if only is None:
        done = withdraw((array for submission in manifests for array in submission.arrays), queue)
    else:
        names = set(only)
        tasks = [each for each in tasks if not names.isdisjoint(each.cells)]
        done = withdraw_tasks((e for e in tasks if names.issuperset(e.cells)), queue)
        left = [e for e in tasks if not names.issuperset(e.cells) and queue.is_active(e)]
        words = [f"job {e.id} is left: it also runs cells that --only leaves out" for e in left]
        done = replace(done, complaints=(*done.complaints, *words))
    ids = set(done.ids)  # of tasks, or of arrays
    for task in tasks:
        if queue.is_active(task) and not ids.isdisjoint((task.id, task.array.id)):
            _note_cancelled(task)
    return done


def _note_cancelled(task: ArrayTask) -> None:
    """SLURM forgets a requeued task that is cancelled while it waits, and its log does not tell."""
    if attempts.notes(task.manifest.folder, task.name):
        attempts.note(task.manifest.folder, task.name, what=attempts.CANCELLED)
