"""Runs the cells of a study on SLURM: submits them, waits where that is asked for, cancels them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from runners.cell.run_context import RunContext
from runners.commands.arguments import stop_code
from runners.commands.last_words import last_words, remove_old_checkpoints
from runners.commands.request import Request
from runners.monitor.follow import pauses, wait
from runners.monitor.queue import plan_with_queue
from runners.results.job import Job
from runners.results.plan import Plan, make_plan
from runners.results.reuse import take_over
from runners.slurm import client
from runners.slurm.array_tasks import Queue
from runners.slurm.cancel import cancel
from runners.slurm.commands import CommandMissing, ControllerDown, SlurmError, require
from runners.slurm.manifest import Manifest
from runners.slurm.recovery import settle, submitting
from runners.slurm.submission import QueueFull, Submission, fitting
from runners.slurm.submit import dry_run, local_disk, submit, why_stuck
from runners.study.cell import Cell
from runners.system.command_line import command_line
from runners.system.console import counted
from runners.system.errors import UserError


@dataclass(frozen=True)
class Outcome:
    """What became of a submission.

    Attributes:
        code: the exit code of a command that does no more.
        sent: names of the cells that are sent.
        left: cells that are not sent because this user has all jobs in the queue that he may have.
        message: about these.
    """

    code: int
    sent: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    message: str = ""


def cancel_jobs(request: Request) -> int:
    """Cancels what the study has in the queue."""
    chosen = {cell.name for cell in request.selected}
    return cancel(request.folder, chosen if request.options.only else None)


def run(request: Request) -> int:
    """Submits what is wanted; with `--wait` also what finds no room at first, and to the end."""
    if "%" in str(request.folder.path):
        raise UserError(
            f"--results: {str(request.folder.path)!r} is not allowed on SLURM, which replaces % in "
            "the names of logs: must be a path without %"
        )
    slurm = request.study.slurm
    plan = make_plan(request.selected, request.folder)
    context = request.context(plan)
    reuse = request.study.run.reuse and not request.options.dry_run
    if reuse and (taken := take_over(plan, request.folder)):
        print(taken)
    pause = pauses(slurm.poll_seconds)
    left, tried, said = list(request.selected), set[str](), ""
    while left:
        outcome = _submit(request, left, context)
        stays = request.options.wait and not request.options.dry_run
        stays = stays and bool(outcome.left or not outcome.code)
        if outcome.message and outcome.message != said:
            later = "they follow" if stays else f"send the rest later with: {command_line()}"
            print(f"{outcome.message}; {later}", file=sys.stderr, flush=True)
        if not stays:
            return outcome.code
        said = outcome.message
        if outcome.left:
            pause(True)
        left = [cell for cell in left if cell.name in outcome.left]
        try:
            after, waited = wait(
                request.look, pause, request.folder, slurm.max_running, outcome.sent
            )
        except KeyboardInterrupt as error:
            see, end = command_line("--watch"), command_line("--cancel")
            print(f"\nno longer waiting; jobs go on: {see}; end them: {end}", file=sys.stderr)
            return stop_code(error)
        tried |= waited
    request.sweep()
    remove_old_checkpoints(after, request.folder)
    return last_words(after, bool(tried), tried, request.folder)


def _submit(request: Request, cells: Sequence[Cell], context: RunContext) -> Outcome:
    """Submits what is to run of some cells; with `--dry-run` prints it.

    Raises:
        UserError: SLURM refuses or is not there, or another command is submitting this study.
    """
    study, folder = request.study, request.folder
    jobs: list[Job] = []
    try:
        require("sbatch", "squeue", "scancel", "scontrol", "srun")  # submitit looks for srun
        plan, jobs = _to_run(request, cells)
        if request.options.dry_run:
            return _show_script(request, plan, jobs)
        if jobs:
            fitting(Submission(jobs, dict(plan.seconds), study), folder.path)
            if warning := local_disk(folder.path):
                print(warning, file=sys.stderr)
        request.prepare_folder()
        request.sweep()
        with submitting(folder):
            settle(folder, Queue(client.squeue()))
            plan, jobs = _to_run(request, cells)
            manifest = _send(request, plan, jobs, context)
        return _describe(manifest, jobs) if manifest else Outcome(0)
    except QueueFull:
        if not request.options.wait:
            raise
        return _unsent(jobs, frozenset())
    except ControllerDown as error:
        again = command_line()
        print(f"{error}; what was sent is noted, resume later with: {again}", file=sys.stderr)
        return Outcome(1)
    except (CommandMissing, SlurmError) as error:
        raise UserError(f"run.backend: slurm cannot be used: {error}") from error


def _to_run(request: Request, cells: Sequence[Cell]) -> tuple[Plan, list[Job]]:
    plan, no_answer = plan_with_queue(cells, request.folder)
    if no_answer:
        raise ControllerDown(no_answer)
    return plan, plan.jobs(request.wanted, request.study.run.retries, with_queue=True)


def _send(
    request: Request, plan: Plan, jobs: Sequence[Job], context: RunContext
) -> Manifest | None:
    _tell(plan)
    if not jobs:
        print("nothing to submit")
        return None
    submission = Submission(jobs, dict(plan.seconds), request.study)
    arrays = submission.arrays()
    print(f"submitting {submission.describe(len(arrays))}", flush=True)
    if (most := request.study.slurm.max_running) and most < len(arrays):
        print(
            f"warning: slurm.max_running: {most}: one task of each array may run", file=sys.stderr
        )
    manifest = submit(submission, context)
    sent = submission.first(sum(len(array.tasks) for array in manifest.sent))
    print(f"submitted {sent.size(len(manifest.sent))}")
    return manifest


def _describe(manifest: Manifest, jobs: Sequence[Job]) -> Outcome:
    """Says what was sent and what to type next."""
    numbers = ", ".join(str(array.id) for array in manifest.sent)
    print(f"jobs: {numbers}; logs: {manifest.folder}", flush=True)
    sent = frozenset(cell for array in manifest.sent for cells in array.tasks for cell in cells)
    if stuck := why_stuck(manifest):
        end = command_line("--cancel")
        print(f"job {numbers} can never start: {stuck}; first: {end}", file=sys.stderr)
        return Outcome(1, sent)
    print(f"watch: {command_line('--watch')}\ncancel: {command_line('--cancel')}")
    return _unsent(jobs, sent)


def _unsent(jobs: Sequence[Job], sent: frozenset[str]) -> Outcome:
    left = frozenset(job.cell.name for job in jobs) - sent
    if not left:
        return Outcome(0, sent)
    cells = "1 cell is" if len(left) == 1 else f"{len(left)} cells are"
    message = (
        f"{cells} not sent: SLURM takes no more jobs of yours while so many are in the queue: "
        "raise slurm.cells_per_task or change slurm.qos"
    )
    return Outcome(1, sent, left, message)


def _show_script(request: Request, plan: Plan, jobs: Sequence[Job]) -> Outcome:
    _tell(plan)
    if jobs:
        dry_run(Submission(jobs, dict(plan.seconds), request.study), request.folder)
    else:
        print("nothing to submit")
    return Outcome(0)


def _tell(plan: Plan) -> None:
    for warning in plan.warnings:
        print(warning, file=sys.stderr)
    print(f"{counted(len(plan.cells), 'cell')}: {plan.counts()}", flush=True)
