"""What is to be sent: cells in tasks and arrays, and how many of them SLURM takes now."""

from __future__ import annotations

import bisect
import copy
from collections.abc import Sequence
from pathlib import Path

from runners.results.job import Job
from runners.slurm import client, manifest
from runners.slurm.chunks import Task, Work, array_limit, make_arrays, make_tasks
from runners.slurm.commands import Refused
from runners.slurm.script import executor, prepare_environment, text
from runners.slurm.task_spec import at_once
from runners.study.config import Study
from runners.study.slurm_times import text_of
from runners.system.console import counted
from runners.system.errors import UserError

SHORTEST_MINUTES = 2


class QueueFull(UserError):
    """SLURM takes no job of this user now: as many are in the queue as may be."""


class Submission:
    """Jobs as tasks and arrays of one study, and what they ask for.

    Raises:
        UserError: the time limit is too short to get on.
    """

    def __init__(self, jobs: Sequence[Job], seconds: dict[str, float], study: Study) -> None:
        self.run, self.slurm = study.run, study.slurm
        if self.slurm.time < SHORTEST_MINUTES:
            raise UserError(
                f"slurm.time: {self.slurm.time} is not allowed: must be at least "
                f"{SHORTEST_MINUTES} minutes, to start and to write a checkpoint before the limit"
            )
        self.at_once = at_once(self.run, self.slurm)
        works = [Work(job.cell.name, job.cell.dataset, seconds[job.cell.name]) for job in jobs]
        self.jobs = tuple(jobs)
        self.tasks = make_tasks(works, self.slurm.cells_per_task, self.at_once)

    def arrays(self) -> list[tuple[Task, ...]]:
        """The tasks in arrays of a size that the cluster takes."""
        return make_arrays(self.tasks, array_limit(client.max_array_size()))

    def first(self, count: int) -> Submission:
        """The same with the first tasks only, so many."""
        part = copy.copy(self)
        part.tasks = self.tasks[:count]
        names = {work.cell for task in part.tasks for work in task}
        part.jobs = tuple(job for job in self.jobs if job.cell.name in names)
        return part

    def size(self, arrays: int) -> str:
        """How much is sent, for a person."""
        cells, tasks = sum(map(len, self.tasks)), len(self.tasks)
        named = ((cells, "cell"), (tasks, "task"), (arrays, "array"))
        of_cells, in_tasks, of_arrays = (counted(*each) for each in named)
        return f"{of_cells} in {in_tasks} of {of_arrays}"

    def describe(self, arrays: int) -> str:
        """What is sent, for a person."""
        most = max(map(len, self.tasks))
        on_gpu = self.slurm.gpus_per_node or self.slurm.gres
        kind, beside = ("GPU", self.run.cells_per_gpu) if on_gpu else ("core", 1)
        hours = sum(work.seconds for task in self.tasks for work in task) / beside / 3600
        return (
            f"{self.size(arrays)}, up to {most} cells a task, {self.at_once} at once, time limit "
            f"{text_of(self.slurm.time)}, about {hours:.1f} {kind}-hours (estimated)"
        )


def fitting(submission: Submission, study_folder: Path) -> Submission:
    """What SLURM takes now: all of it, or as many tasks as this user may still queue.

    Only the first array is asked for, and nothing is submitted or written.

    Raises:
        QueueFull: not even one task.
        UserError: sbatch refuses for another reason.
        SlurmError: SLURM cannot be used or does not answer.
    """
    prepare_environment()
    sender = executor(study_folder / manifest.FOLDER, "test", submission.run, submission.slurm)

    def is_too_many(tasks: int) -> bool:
        try:
            client.test_only(text(sender, tasks))
        except Refused as error:
            if error.full and tasks > 1:
                return True
            raise refusal(error) from error
        return False

    tasks = len(submission.arrays()[0])
    if not is_too_many(tasks):
        return submission
    return submission.first(bisect.bisect_left(range(1, tasks), True, key=is_too_many))


def refusal(error: Refused, end: str = "") -> UserError:
    """What sbatch does not take, as a sentence about a key of the study; `end` is its end."""
    key, kind = error.key or "slurm", QueueFull if error.full else UserError
    return kind(f"{key}: SLURM refuses: {error}: must be what this cluster offers{end}")
