"""How a study stands, with what SLURM's queue adds to its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runners.results.plan import Plan, make_plan
from runners.results.store import StudyFolder
from runners.slurm import client, manifest
from runners.slurm.array_tasks import Queue
from runners.slurm.commands import SlurmError
from runners.slurm.task_status import in_the_queue
from runners.study.cell import Cell


def plan_with_queue(cells: Sequence[Cell], study: StudyFolder) -> tuple[Plan, str]:
    """The plan of cells with what the queue adds to it, and a sentence if there was no answer.

    First the manifests, then the queue, then the files of the cells: see `in_the_queue`.
    """
    submissions = manifest.read_all(study.path)
    queue, no_answer = Queue(()), ""
    if submissions.readable:
        try:
            queue = Queue(client.squeue())
        except SlurmError as error:
            queue, no_answer = Queue(None), f"{error}; what is in the queue is not known now"
    sending = manifest.SUBMITTING in study.leases.live()
    plan = make_plan(cells, study)
    warnings = [
        f"warning: {path} cannot be read; what it tells of the queue is not known"
        for path in submissions.unreadable
    ]
    added = in_the_queue(submissions.readable, queue, plan.statuses, sending)
    leases = {
        name: lease_info for name, lease_info in plan.leases.items() if not queue.denies(lease_info)
    }
    return replace(plan, leases=leases, queue=added, warnings=warnings), no_answer


def was_sent(study: StudyFolder) -> bool:
    """Whether anything of a study was ever sent to SLURM."""
    return any(submission.sent for submission in manifest.read_all(study.path).readable)
