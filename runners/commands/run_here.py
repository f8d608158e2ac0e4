"""Runs the cells of a study on this machine: what is to do, the workers, the last words."""

from __future__ import annotations

from collections.abc import Sequence

from runners.cell.run_context import RunContext
from runners.commands.last_words import last_words, remove_old_checkpoints
from runners.commands.request import Request
from runners.monitor.progress import Progress
from runners.pool.devices import choose_devices
from runners.pool.job_queue import JobQueue
from runners.pool.messages import RunningElsewhere
from runners.pool.pool import run_in_pool, run_in_process
from runners.results.job import Job
from runners.results.plan import Plan, make_plan
from runners.results.reuse import take_over
from runners.results.store import State
from runners.system.console import counted
from runners.system.errors import UserError


def run(request: Request) -> int:
    """Runs what is wanted and waits for what other runners of the folder are running."""
    if request.options.dry_run:
        raise UserError("--dry-run: run.backend is local, which sends nothing: must be slurm")
    study, selected, folder = request.study, request.selected, request.folder
    devices = choose_devices(study.run)
    plan = make_plan(selected, folder)
    context = request.context(plan)
    request.prepare_folder()
    if study.run.reuse and (said := take_over(plan, folder)):
        print(said)
        plan = make_plan(selected, folder)
    jobs = plan.jobs(request.wanted, study.run.retries)
    running_elsewhere = plan.run_by_others(request.wanted, study.run.retries)
    try:
        execute(jobs, running_elsewhere, plan, context, devices, in_pool=study.run.workers != 0)
    finally:
        request.sweep()
    has_run = bool(jobs or running_elsewhere)
    after = make_plan(selected, folder) if has_run else plan
    remove_old_checkpoints(after, folder)
    failed = {cell.name for cell in after.with_state(State.FAILED)}
    tried = {job.cell.name for job in jobs}
    tried |= {job.cell.name for job in running_elsewhere} & failed
    return last_words(after, has_run, tried, folder)


def execute(
    jobs: Sequence[Job],
    running_elsewhere: Sequence[Job],
    plan: Plan,
    context: RunContext,
    devices: Sequence[str],
    in_pool: bool,
) -> None:
    """Runs jobs, waits for the end of those at other runners, and shows the progress."""
    names = [job.cell.name for job in (*jobs, *running_elsewhere)]
    if not names:
        return
    workers = min(len(devices), len(names)) if in_pool else 1
    how = f"{workers} worker{'s' if workers > 1 else ''} on {devices[0].partition(':')[0]}"
    what = [f"running {len(jobs)} with {how}"] * bool(jobs)
    what += [f"waiting for {len(running_elsewhere)} at other runners"] * bool(running_elsewhere)
    print(f"{counted(len(plan.cells), 'cell')}: {plan.counts()}; {', '.join(what)}", flush=True)
    seconds = {name: plan.seconds[name] for name in names}
    progress = Progress(seconds, workers, len(plan.with_state(State.DONE)))
    queue = JobQueue(jobs, context.study, running_elsewhere)
    try:
        for job in running_elsewhere:
            progress.take(RunningElsewhere(job.cell.name))
        if in_pool:
            run_in_pool(queue, context, devices, progress.take)
        else:
            run_in_process(queue, context, devices[0], progress.take)
    finally:
        progress.close()
