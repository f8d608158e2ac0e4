"""One run of a study on this machine: what is to do, the workers, the closing words."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
from datasets.base import DataError
from runners.backlog import Backlog, Job
from runners.closing import closing_words
from runners.config import Study
from runners.devices import choose_devices
from runners.failures import is_full_disk
from runners.follow import wait, watch
from runners.grid import Cell, select, study_json
from runners.launch import run_in_pool, run_in_process
from runners.options import UserError, command_line, stop_code
from runners.place import Place
from runners.plan import Plan, describe, make_plan
from runners.progress import Progress
from runners.slurm import control
from runners.slurm.cancel import cancel
from runners.slurm.logs import show_logs
from runners.status import describe_status
from runners.store import Sight, State, StudyFolder

LOOK_S = 2.0
"""Seconds between two looks of `--watch` at a study that was never submitted."""


def run_study(study: Study, options: argparse.Namespace, grid: Sequence[Cell]) -> int:
    """Shows, plans, submits or runs the selected cells of a study; returns the exit code."""
    selected = select(grid, options.only)
    folder = StudyFolder(options.results.resolve(), study.name)
    if options.logs is not None:
        return show_logs(options.logs, selected, folder)
    if options.cancel:
        return cancel(folder, {cell.name for cell in selected} if options.only else None)
    if options.status or options.watch:
        return _show(study, options, selected, folder)
    root = data_root(options.data, study)
    place = Place(
        folder,
        root,
        study.run.share_warmup,
        study.run.checkpoint_every,
        study.run.checkpoint_minutes,
    )
    check_data(selected, root, options.study)
    if options.plan:
        return _show_plan(study, selected, folder)
    if study.run.backend == "slurm":
        return _run_on_slurm(study, options, grid, selected, place)
    if options.dry_run:
        raise UserError("--dry-run: run.backend is local, which sends nothing: must be slurm")
    devices = choose_devices(study)
    plan = make_plan(selected, folder)
    wanted, retries = _is_wanted(options), study.run.retries
    jobs, theirs = plan.jobs(wanted, retries), plan.run_by_others(wanted, retries)
    _prepare(folder, study, grid, options.results)
    try:
        execute(jobs, theirs, plan, place, devices, in_pool=study.run.workers != 0)
    finally:
        folder.sweep(cell.name for cell in selected)
    after = make_plan(selected, folder) if jobs or theirs else plan
    _remove_old_checkpoints(after, folder)
    tried = {job.cell.name for job in jobs}
    tried |= {cell.name for cell in after.with_state(State.FAILED)} & {j.cell.name for j in theirs}
    return closing_words(after, bool(jobs or theirs), tried, folder)


def _show_plan(study: Study, selected: Sequence[Cell], folder: StudyFolder) -> int:
    plan, silence = control.plan_with_queue(selected, folder)
    for words in (*plan.warnings, silence):
        if words:
            print(words, file=sys.stderr)
    if study.run.backend == "slurm":  # here may be none of the devices there
        print(describe(plan, study.slurm.max_running or len(selected)))
    else:
        print(describe(plan, len(choose_devices(study))))
    return 0


def _show(
    study: Study, options: argparse.Namespace, selected: Sequence[Cell], folder: StudyFolder
) -> int:
    def look() -> tuple[Plan, str]:
        return control.plan_with_queue(selected, folder)

    # What was sent to SLURM goes on there, also where the command that asks does not say so.
    is_elsewhere = study.run.backend != "slurm" and not options.backend and control.was_sent(folder)
    command = command_line(*(["--backend=slurm"] if is_elsewhere else []))
    if options.watch:
        submitted = look()[0].queue or study.run.backend == "slurm"
        seconds = study.slurm.poll_seconds if submitted else LOOK_S
        with contextlib.suppress(KeyboardInterrupt):  # ends the look, not the run
            watch(look, control.pauses(seconds), folder, command)
        return 0
    plan, silence = look()
    print(describe_status(plan, folder, command, silence=silence))
    return 0


def _run_on_slurm(
    study: Study,
    options: argparse.Namespace,
    grid: Sequence[Cell],
    selected: Sequence[Cell],
    place: Place,
) -> int:
    folder = place.study

    def prepare() -> None:
        _prepare(folder, study, grid, options.results)
        folder.sweep(cell.name for cell in selected)

    def look() -> tuple[Plan, str]:
        return control.plan_with_queue(selected, folder)

    pause = control.pauses(study.slurm.poll_seconds)
    left, tried, said = list(selected), set[str](), ""
    while left:
        sent = control.send(study, options, left, place, _is_wanted(options), prepare)
        goes_on = options.wait and not options.dry_run and (sent.left or not sent.code)
        if sent.words and sent.words != said:
            later = "they follow" if goes_on else f"send the rest later with: {command_line()}"
            print(f"{sent.words}; {later}", file=sys.stderr, flush=True)
        if not goes_on:
            return sent.code
        said = sent.words
        if sent.left:
            pause(True)
        left = [cell for cell in left if cell.name in sent.left]
        try:
            after, waited = wait(look, pause, folder, study.slurm.max_running, sent.sent)
        except KeyboardInterrupt as error:
            see, end = command_line("--watch"), command_line("--cancel")
            print(f"\nno longer waiting; jobs go on: {see}; end them: {end}", file=sys.stderr)
            return stop_code(error)
        tried |= waited
    folder.sweep(cell.name for cell in selected)
    _remove_old_checkpoints(after, folder)
    return closing_words(after, bool(tried), tried, folder)


def _remove_old_checkpoints(plan: Plan, folder: StudyFolder) -> None:
    """Those of cells whose process was killed between the record and the removal."""
    for cell in plan.with_state(State.DONE):
        folder.cell(cell.name).checkpoint.unlink(missing_ok=True)


def _is_wanted(options: argparse.Namespace) -> Callable[[Sight], bool]:
    """Which cells are to be run: what is missing or may go well by itself, and what is asked."""

    def wanted(sight: Sight) -> bool:
        match sight.state:
            case State.MISSING | State.LOST:
                return True
            case State.FAILED:
                return sight.transient or options.retry_failed
            case State.STALE:
                return options.rerun_stale
            case State.DAMAGED:
                return options.rerun_damaged
        return False

    return wanted


def check_data(selected: Sequence[Cell], root: Path | None, study: Path) -> None:
    """Raises UserError if a data set of the selection is missing or damaged."""
    for name in dict.fromkeys(cell.dataset for cell in selected):
        try:
            datasets.get(name).check(root)
        except DataError as error:
            raise UserError(f"{study}: axes.dataset: {error}") from error


def _prepare(folder: StudyFolder, study: Study, grid: Sequence[Cell], results: Path) -> None:
    try:
        folder.prepare(study_json(study, grid))
    except OSError as error:
        if is_full_disk(error):
            raise
        raise UserError(
            f"--results: {str(results)!r} cannot be written ({error.strerror}): "
            "must be a folder that you may write to"
        ) from error


def data_root(given: Path | None, study: Study) -> Path | None:
    """Where data sets are looked for first: --data, DATA_ROOT, run.data_root, else nowhere."""
    named = given or os.environ.get("DATA_ROOT") or study.run.data_root
    return Path(named).expanduser().resolve() if named else None


def execute(
    jobs: Sequence[Job],
    theirs: Sequence[Job],
    plan: Plan,
    place: Place,
    devices: Sequence[str],
    in_pool: bool,
) -> None:
    """Runs jobs, waits for the end of `theirs` at other runners, and shows the progress."""
    seconds = {job.cell.name: plan.seconds[job.cell.name] for job in (*jobs, *theirs)}
    if not seconds:
        return
    workers = min(len(devices), len(seconds)) if in_pool else 1
    how = f"{workers} worker{'s' if workers > 1 else ''} on {devices[0].partition(':')[0]}"
    what = [f"running {len(jobs)} with {how}"] * bool(jobs)
    what += [f"waiting for {len(theirs)} at other runners"] * bool(theirs)
    print(f"{len(plan.cells)} cells: {plan.counts()}; {', '.join(what)}", flush=True)
    progress = Progress(seconds, workers, len(plan.with_state(State.DONE)))
    backlog = Backlog(jobs, place.study, theirs)
    try:
        for job in theirs:
            progress.take(("held", job.cell.name))
        if in_pool:
            run_in_pool(backlog, place, devices, progress.take)
        else:
            run_in_process(backlog, place, devices[0], progress.take)
    finally:
        progress.close()
