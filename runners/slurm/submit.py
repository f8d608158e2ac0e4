"""Sends what is to run as job arrays: written down first, then sent, then noted."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import time
from pathlib import Path

from runners.cell.run_context import RunContext
from runners.results.store import StudyFolder
from runners.slurm import client, manifest
from runners.slurm.array_tasks import ArrayTask, Queue
from runners.slurm.attempts import name_of
from runners.slurm.chunks import Task
from runners.slurm.client import Row
from runners.slurm.commands import DOWN, ControllerDown, Refused, SlurmError
from runners.slurm.manifest import Array, Manifest, Sent
from runners.slurm.messages import stuck
from runners.slurm.recovery import withdraw
from runners.slurm.script import executor, prepare_environment, text
from runners.slurm.submission import Submission, fitting, refusal
from runners.slurm.task import RunCells
from runners.slurm.task_spec import write_task_spec

BACK_OFF_S = (5.0, 10.0)
LOOKS_AFTER_S = (1.0, 2.0)  # for the first two seconds SLURM may name another reason
FURTHER_LOOKS_AFTER_S = (2.0, 2.0)
"""Where SLURM has looked at no task yet."""
NOT_LOOKED_AT = ("None", "Priority")
"""Reasons of a job that SLURM has not tried to start yet."""

SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "panfs", "weka", "fuse", "9p", "smb", "cifs")
"""Beginnings of the names of file systems that several machines can mount."""


def dry_run(submission: Submission, folder: StudyFolder) -> None:
    """Prints what would be sent, and sends and writes nothing."""
    prepare_environment()
    arrays = submission.arrays()
    context = folder.path / manifest.FOLDER / "<time>-<uuid>"
    name = f"{folder.path.name}-<uuid>-0"
    sender = executor(context, name, submission.run, submission.slurm, len(arrays))
    print(f"would submit {submission.describe(len(arrays))}; the script of the first array:\n")
    print(text(sender, len(arrays[0])))


def submit(submission: Submission, context: RunContext) -> Manifest:
    """Sends all tasks; returns the manifest as it is then. Only under the lease `SUBMITTING`.

    What is above the number of jobs that this user may have in the queue is left out.

    Raises:
        UserError: sbatch refuses.
        SlurmError: no answer from SLURM; what was sent is noted, the rest can be sent again.
        OSError: the study's folder cannot be written.
    """
    path = context.study.path
    submission = fitting(submission, path)
    current = manifest.plan(path, [[_names(task) for task in each] for each in submission.arrays()])
    write_task_spec(current.folder, submission.jobs, context, submission.run, submission.slurm)
    for number, array in enumerate(current.arrays):
        try:
            current = _send(current, array, submission)
        except Refused as error:
            current = current.noting(array.name, Sent.REFUSED, words=str(error))
            if not (number and error.full):
                raise refusal(error, _sent_before(current)) from error
            for unsent in current.arrays[number + 1 :]:
                current = current.noting(unsent.name, Sent.NEVER)
            break
    return current


def _sent_before(current: Manifest) -> str:
    """What a refusal leaves in the queue, as the end of a sentence; if nothing, also no files."""
    if sent := [array.id for array in current.sent]:
        return f"; {', '.join(sent)} were sent before, the same command sends the rest"
    shutil.rmtree(current.folder)
    with contextlib.suppress(OSError):  # of other submissions
        current.folder.parent.rmdir()
    return ""


def _names(task: Task) -> list[str]:
    return [work.cell for work in task]


def _send(current: Manifest, array: Array, submission: Submission) -> Manifest:
    """Sends one array, again after a while if the controller does not answer."""
    for pause in (*BACK_OFF_S, None):
        current = current.noting(array.name, Sent.SENDING)
        try:
            number = _sbatch(current, array, submission)
        except ControllerDown as error:
            if pause is None:
                raise
            print(f"{error}; retrying in {pause:.0f} s", file=sys.stderr, flush=True)
            time.sleep(pause)
            with contextlib.suppress(SlurmError):  # tasks that run twice do no harm
                withdraw([array], Queue(client.squeue()))
            continue
        return current.noting(array.name, Sent.SUBMITTED, id=number)
    raise AssertionError("the last try returns or raises")


def _sbatch(current: Manifest, array: Array, submission: Submission) -> str:
    """Sends one array; returns its id."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    arrays = len(current.arrays)
    sender = executor(current.folder, array.name, submission.run, submission.slurm, arrays)
    try:
        # submitit prints what sbatch says; whoever catches it will.
        with contextlib.redirect_stderr(io.StringIO()), sender.batch():
            sent = [
                sender.submit(RunCells(str(current.folder), name_of(array.name, number), cells))
                for number, cells in enumerate(array.tasks)
            ]
    except (FailedJobError, FailedSubmissionError) as error:
        words = " ".join(str(error).split())
        if any(word in words.lower() for word in DOWN):
            raise ControllerDown(f"the SLURM controller does not answer ({words})") from error
        raise Refused(words) from error
    return sent[0].job_id.partition("_")[0]


def why_stuck(current: Manifest) -> str:
    """Why no task of a submission can ever start, in words; empty if one can or SLURM is silent."""
    tasks = [ArrayTask(current, array, k) for array, k, _ in current.tasks()]
    rows: list[Row] = []
    for number, pause in enumerate((*LOOKS_AFTER_S, *FURTHER_LOOKS_AFTER_S)):
        if number >= len(LOOKS_AFTER_S) and not all(row.reason == "None" for row in rows):
            break
        time.sleep(pause)
        try:
            queue = Queue(client.squeue())
        except SlurmError:
            return ""
        rows = [row for row in map(queue.row, tasks) if row]
        if any(map(_can_start, rows)):
            return ""
    changes = [stuck(row.reason) for row in rows]
    return changes[0] if changes and all(changes) else ""


def _can_start(row: Row) -> bool:
    return row.state != "PENDING" or not (row.reason in NOT_LOOKED_AT or stuck(row.reason))


def local_disk(folder: Path) -> str:
    """A warning if a folder seems to be on a disk of this machine alone, else ""."""
    kind = _file_system(folder)
    if not kind or kind.startswith(SHARED):
        return ""
    return (
        f"warning: {folder} is on a file system of type {kind}, which nodes other than this "
        "machine may not see: --results must be a folder that all nodes share"
    )


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on; "" where the system does not say."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    mounts = {parts[1]: parts[2] for line in lines if len(parts := line.split()) > 2}
    context = folder.resolve()
    return next((mounts[str(p)] for p in (context, *context.parents) if str(p) in mounts), "")
