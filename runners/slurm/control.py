"""What a person asks of a study on SLURM: to submit it, and how it stands."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from runners.backlog import Job
from runners.config import Study
from runners.grid import Cell
from runners.options import UserError, command_line
from runners.place import Place
from runners.plan import Plan, make_plan
from runners.slurm import client, manifest
from runners.slurm.commands import CommandMissing, ControllerDown, SlurmError, require
from runners.slurm.elements import Queue
from runners.slurm.manifest import Manifest
from runners.slurm.recovery import settle, submitting
from runners.slurm.shipment import QueueFull, Shipment, fitting
from runners.slurm.submit import dry_run, local_disk, submit, why_stuck
from runners.slurm.truth import in_the_queue
from runners.store import Sight, StudyFolder

LONGEST_PAUSE_S = 300.0


def plan_with_queue(cells: Sequence[Cell], study: StudyFolder) -> tuple[Plan, str]:
    """The plan of cells with what the queue adds to it, and a sentence if there was no answer.

    First the manifests, then the queue, then the files of the cells: see `in_the_queue`.
    """
    submissions = manifest.read_all(study.path)
    queue, silence = Queue(()), ""
    if submissions.found:
        try:
            queue = Queue(client.squeue())
        except SlurmError as error:
            queue, silence = Queue(None), f"{error}; what is in the queue is not known now"
    sending = manifest.SUBMITTING in study.leases.live()
    plan = make_plan(cells, study)
    warnings = [
        f"warning: {path} cannot be read; what it tells of the queue is not known"
        for path in submissions.unreadable
    ]
    added = in_the_queue(submissions.found, queue, plan.sights, sending)
    claims = {name: claim for name, claim in plan.claims.items() if not queue.denies(claim)}
    return replace(plan, claims=claims, queue=added, warnings=warnings), silence


def was_sent(study: StudyFolder) -> bool:
    """Whether anything of a study was ever sent to SLURM."""
    return any(made.sent for made in manifest.read_all(study.path).found)


@dataclass(frozen=True)
class Outcome:
    """What became of a submission.

    Attributes:
        code: the exit code of a command that does no more.
        sent: names of the cells that are sent.
        left: cells that are not sent because this user has all jobs in the queue that he may have.
        words: about these.
    """

    code: int
    sent: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    words: str = ""


def send(
    study: Study,
    options: argparse.Namespace,
    cells: Sequence[Cell],
    place: Place,
    wanted: Callable[[Sight], bool],
    prepare: Callable[[], None],
) -> Outcome:
    """Submits what is to run; with `--dry-run` prints it.

    Args:
        wanted: which cells are to run.
        prepare: makes the study's folder; called when SLURM has nothing against the request.

    Raises:
        UserError: SLURM refuses or is not there, or another command is submitting this study.
    """

    def to_run() -> tuple[Plan, list[Job]]:
        plan, silence = plan_with_queue(cells, place.study)
        if silence:
            raise ControllerDown(silence)
        return plan, plan.jobs(wanted, study.run.retries, with_queue=True)

    try:
        require("sbatch", "squeue", "scancel", "scontrol", "srun")  # submitit looks for srun
        plan, jobs = to_run()
        if options.dry_run:
            _show_script(study, place, plan, jobs)
            return Outcome(0)
        if jobs:
            fitting(Shipment(jobs, dict(plan.seconds), study), place.study.path)
            if warning := local_disk(place.study.path):
                print(warning, file=sys.stderr)
        prepare()
        with submitting(place.study):
            settle(place.study, Queue(client.squeue()))
            plan, jobs = to_run()
            made = _send(study, place, plan, jobs)
        return _closing_words(made, jobs) if made else Outcome(0)
    except QueueFull:
        if not options.wait:
            raise
        return _unsent(jobs, frozenset())
    except CommandMissing as error:
        raise UserError(f"run.backend: slurm cannot be used: {error}") from error
    except ControllerDown as error:
        again = command_line()
        print(f"{error}; what was sent is noted, go on later with: {again}", file=sys.stderr)
        return Outcome(1)
    except SlurmError as error:
        raise UserError(f"run.backend: slurm cannot be used: {error}") from error


def _send(study: Study, place: Place, plan: Plan, jobs: Sequence[Job]) -> Manifest | None:
    _tell(plan)
    if not jobs:
        print("nothing to submit")
        return None
    shipment = Shipment(jobs, dict(plan.seconds), study)
    arrays = shipment.arrays()
    print(f"submitting {shipment.words(len(arrays))}", flush=True)
    if (most := study.slurm.max_running) and most < len(arrays):
        print(
            f"warning: slurm.max_running: {most}: one task of each array may run", file=sys.stderr
        )
    made = submit(shipment, place)
    sent = shipment.first(sum(len(array.tasks) for array in made.sent))
    print(f"submitted {sent.size(len(made.sent))}")
    return made


def _closing_words(made: Manifest, jobs: Sequence[Job]) -> Outcome:
    """Says what was sent and what to type next."""
    numbers = ", ".join(str(array.id) for array in made.sent)
    print(f"jobs: {numbers}; logs: {made.folder}", flush=True)
    sent = frozenset(cell for array in made.sent for cells in array.tasks for cell in cells)
    if stuck := why_stuck(made):
        cancel = command_line("--cancel")
        print(f"job {numbers} can never start: {stuck}; first: {cancel}", file=sys.stderr)
        return Outcome(1, sent)
    print(f"watch: {command_line('--watch')}\ncancel: {command_line('--cancel')}")
    return _unsent(jobs, sent)


def _unsent(jobs: Sequence[Job], sent: frozenset[str]) -> Outcome:
    left = frozenset(job.cell.name for job in jobs) - sent
    if not left:
        return Outcome(0, sent)
    cells = "1 cell is" if len(left) == 1 else f"{len(left)} cells are"
    words = (
        f"{cells} not sent: SLURM takes no more jobs of yours while so many are in the queue: "
        "raise slurm.cells_per_task or change slurm.qos"
    )
    return Outcome(1, sent, left, words)


def _show_script(study: Study, place: Place, plan: Plan, jobs: Sequence[Job]) -> None:
    _tell(plan)
    if jobs:
        dry_run(Shipment(jobs, dict(plan.seconds), study), place.study)
    else:
        print("nothing to submit")


def _tell(plan: Plan) -> None:
    for warning in plan.warnings:
        print(warning, file=sys.stderr)
    print(f"{len(plan.cells)} cells: {plan.counts()}", flush=True)


def pauses(seconds: float) -> Callable[[bool], None]:
    """A pause between two questions; longer and longer while there is no answer."""
    silent = 0

    def pause(answered: bool) -> None:
        nonlocal silent
        silent = 0 if answered else silent + 1
        time.sleep(min(max(LONGEST_PAUSE_S, seconds), seconds * 2 ** min(silent, 10)))

    return pause
