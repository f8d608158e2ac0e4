"""What a person asks of a study on SLURM: submit, cancel, logs, and how it stands."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from runners.config import Study
from runners.grid import Cell
from runners.options import UserError, command_line
from runners.place import Place
from runners.plan import Plan, make_plan
from runners.slurm import client, manifest
from runners.slurm.commands import CommandMissing, ControllerDown, SlurmError
from runners.slurm.manifest import Sent
from runners.slurm.submit import SUBMITTING, Shipment, dry_run, settle, submit, why_stuck
from runners.slurm.truth import Queue, in_the_queue
from runners.store import Sight, StudyFolder

LONGEST_PAUSE_S = 300.0


def ask_queue(study: StudyFolder) -> tuple[Queue | None, str]:
    """The queue, where this study was ever submitted, and a sentence if there was no answer."""
    if not manifest.read_all(study.path).found:
        return None, ""
    try:
        return Queue(client.squeue()), ""
    except SlurmError as error:
        return Queue(None), f"{error}; what is in the queue is not known now"


def plan_with_queue(cells: Sequence[Cell], study: StudyFolder) -> tuple[Plan, str]:
    """The plan of cells with what the queue adds to it, and a sentence if there was no answer."""
    plan = make_plan(cells, study)
    queue, silence = ask_queue(study)
    if queue is None:
        return plan, silence
    claims = {name: claim for name, claim in plan.claims.items() if not queue.denies(claim)}
    known = in_the_queue(study, plan.sights, queue)
    return replace(plan, claims=claims, queue=known), silence


def send(
    study: Study,
    options: argparse.Namespace,
    cells: Sequence[Cell],
    place: Place,
    wanted: Callable[[Sight], bool],
) -> int:
    """Submits what is to run and returns the exit code; with `--dry-run` prints it."""
    try:
        if options.dry_run:
            plan, _ = plan_with_queue(cells, place.study)
            if jobs := plan.jobs(wanted, study.run.retries, with_queue=True):
                dry_run(Shipment(jobs, dict(plan.seconds), study), place.study)
            else:
                print(f"{len(plan.cells)} cells: {plan.counts()}; nothing to submit")
            return 0
        lease = place.study.leases.take(SUBMITTING)
        if lease is None:
            folder = place.study.path
            raise UserError(f"{folder}: another command is submitting this study: try again later")
        with lease:
            return _send(study, cells, place, wanted)
    except CommandMissing as error:
        raise UserError(f"run.backend: slurm cannot be used: {error}") from error
    except ControllerDown as error:
        again = command_line()
        print(f"{error}; what was sent is noted, go on later with: {again}", file=sys.stderr)
        return 1
    except SlurmError as error:
        raise UserError(f"run.backend: slurm cannot be used: {error}") from error


def _send(
    study: Study, cells: Sequence[Cell], place: Place, wanted: Callable[[Sight], bool]
) -> int:
    if manifest.read_all(place.study.path).found:
        settle(place.study, Queue(client.squeue()))
    plan, silence = plan_with_queue(cells, place.study)
    if silence:
        raise ControllerDown(silence)
    jobs = plan.jobs(wanted, study.run.retries, with_queue=True)
    print(f"{len(plan.cells)} cells: {plan.counts()}", flush=True)
    if not jobs:
        print("nothing to submit")
        return 0
    shipment = Shipment(jobs, dict(plan.seconds), study)
    made = submit(jobs, shipment, place)
    numbers = ", ".join(str(array.id) for array in made.arrays)
    print(f"submitted {shipment.words(len(made.arrays))}")
    print(f"jobs: {numbers}; logs: {made.folder}")
    if stuck := why_stuck(made):
        cancel = command_line("--cancel")
        print(f"job {numbers} can never start: {stuck}; first: {cancel}", file=sys.stderr)
        return 1
    print(f"watch: {command_line('--watch')}\ncancel: {command_line('--cancel')}")
    return 0


def cancel(study: StudyFolder) -> int:
    """Cancels what this study has in the queue, and only that; returns the exit code."""
    try:
        queue = Queue(client.squeue())
        ids = set()
        for made in manifest.read_all(study.path).found:
            for array in made.arrays:
                active = [row for row in queue.named(array) if not row.final]
                if active and array.state in (Sent.SENDING, Sent.SUBMITTED):
                    ids.add(active[0].id.partition("_")[0])
        complaints = client.scancel(sorted(ids, key=int)) if ids else []
    except SlurmError as error:
        print(f"{error}; nothing is known to be cancelled", file=sys.stderr)
        return 1
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    what = f"cancelled: {', '.join(sorted(ids, key=int))}" if ids else "nothing is in the queue"
    print(f"{what}; finished cells and checkpoints are kept")
    return int(bool(complaints))


def show_logs(name: str, cells: Sequence[Cell], study: StudyFolder) -> int:
    """Prints where the logs of a cell are and how they end; returns the exit code.

    Raises:
        UserError: the study has no such cell.
    """
    fits = [cell.name for cell in cells if cell.name == name] or [
        cell.name for cell in cells if name in cell.name
    ]
    if len(fits) != 1:
        found = "no cell" if not fits else f"{len(fits)} cells"
        raise UserError(f"--logs: {name!r} is not allowed: it fits {found}: must name one cell")
    paths = [study.cell(fits[0]).log]
    for made in manifest.read_all(study.path).found:
        for array, number, inside in made.elements():
            if fits[0] in inside and array.id:
                ends = ("out", "err")
                paths += [made.folder / f"{array.element(number)}_0_log.{end}" for end in ends]
    for path in paths:
        print(f"== {path}")
        print(_tail(path))
    return 0


def _tail(path: Path, lines: int = 20) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error.strerror})"


def pauses(seconds: float) -> Callable[[bool], None]:
    """A pause between two questions; longer and longer while there is no answer."""
    silent = 0

    def pause(answered: bool) -> None:
        nonlocal silent
        silent = 0 if answered else silent + 1
        time.sleep(min(LONGEST_PAUSE_S, seconds * 2 ** min(silent, 10)))

    return pause
