"""One run of a study on this machine: what is to do, the workers, the closing words."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import datasets
from datasets.base import DataError
from runners.backlog import Backlog, Job
from runners.config import Study
from runners.failures import is_full_disk
from runners.files import sweep
from runners.grid import Cell, select, study_json
from runners.launch import run_in_pool, run_in_process
from runners.options import Terminated, UserError, command_line
from runners.place import Place
from runners.plan import Plan, describe, make_plan
from runners.progress import Progress
from runners.status import describe_status, watch
from runners.store import Sight, State, StudyFolder


def run_study(study: Study, options: argparse.Namespace, grid: Sequence[Cell]) -> int:
    """Shows, plans or runs the selected cells of a checked study; returns the exit code."""
    selected = select(grid, options.only)
    folder = StudyFolder(options.results.resolve(), study.name)
    if options.status:
        print(describe_status(make_plan(selected, folder), folder, command_line()))
        return 0
    if options.watch:
        with contextlib.suppress(KeyboardInterrupt):  # ends the look, not the run
            watch(selected, folder, command_line())
        return 0
    root = data_root(options.data, study)
    devices = choose_devices(study)
    check_data(selected, root, options.study)
    plan = make_plan(selected, folder)
    if options.plan:
        print(describe(plan, len(devices)))
        return 0
    jobs = plan.jobs(lambda sight: _is_wanted(sight, options), study.run.retries)
    _prepare(folder, study, grid, options.results)
    place = Place(
        folder,
        root,
        study.run.share_warmup,
        study.run.checkpoint_every,
        study.run.checkpoint_minutes,
    )
    with _ended_by_sigterm():
        execute(jobs, plan, place, devices, in_pool=study.run.workers != 0)
    after = make_plan(selected, folder) if jobs else plan
    _remove_old_checkpoints(after, folder)
    return closing_words(after, jobs, folder)


def _remove_old_checkpoints(plan: Plan, folder: StudyFolder) -> None:
    """Those of cells whose process was killed between the record and the removal."""
    for cell in plan.with_state(State.DONE):
        folder.cell(cell.name).checkpoint.unlink(missing_ok=True)


def _is_wanted(sight: Sight, options: argparse.Namespace) -> bool:
    """Whether a cell is to be run: what is missing or may go well by itself, and what is asked."""
    match sight.state:
        case State.MISSING:
            return True
        case State.FAILED:
            return sight.transient or options.retry_failed
        case State.STALE:
            return options.rerun_stale
        case State.DAMAGED:
            return options.rerun_damaged
    return False


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


def choose_devices(study: Study) -> list[str]:
    """One device a worker: "cpu" per core, or "cuda:i" for every slot of every GPU.

    Raises:
        UserError: `cuda` is asked for and there is none.
    """
    wanted, workers = study.run.device, study.run.workers
    gpus = count_gpus() if wanted in ("auto", "cuda") else 0
    if wanted == "cuda" and gpus == 0:
        raise UserError(
            'run.device: "cuda" is not allowed here, torch sees no GPU: must be auto or cpu'
        )
    slots = [f"cuda:{i}" for _ in range(study.run.cells_per_gpu) for i in range(gpus)]
    if not slots:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        slots = ["cpu"] * (cores or 1)
    count = len(slots) if workers == "auto" else max(1, workers)
    return [slots[i % len(slots)] for i in range(count)]


def count_gpus() -> int:
    """CUDA devices that torch sees. Asked in a process of its own: planning needs no torch."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    code = "import torch; print(torch.cuda.device_count())"
    asked = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    return int(asked.stdout or 0) if asked.returncode == 0 else 0


@contextlib.contextmanager
def _ended_by_sigterm():
    """Inside, SIGTERM ends the run as Ctrl-C does."""

    def end(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def execute(
    jobs: Sequence[Job], plan: Plan, place: Place, devices: Sequence[str], in_pool: bool
) -> None:
    """Runs jobs and shows the progress; temporary files of processes that died are removed."""
    if not jobs:
        return
    workers = min(len(devices), len(jobs)) if in_pool else 1
    seconds = {job.cell.name: plan.seconds[job.cell.name] for job in jobs}
    how = f"{workers} worker{'s' if workers > 1 else ''} on {devices[0].partition(':')[0]}"
    print(f"{len(plan.cells)} cells: {plan.counts()}; running {len(jobs)} with {how}", flush=True)
    progress = Progress(seconds, workers, len(plan.with_state(State.DONE)))
    backlog = Backlog(jobs, place.study)
    try:
        if in_pool:
            run_in_pool(backlog, place, devices, progress.take)
        else:
            run_in_process(backlog, place, devices[0], progress.take)
    finally:
        progress.close()
        place.study.sweep()
        for job in jobs:
            sweep(place.study.cell(job.cell.name).path)


def closing_words(plan: Plan, jobs: Sequence[Job], folder: StudyFolder) -> int:
    """Says how the selection stands now, after `jobs` were run; returns the exit code."""
    tried = {job.cell.name for job in jobs}
    failed = plan.with_state(State.FAILED)
    as_before = [c for c in plan.with_state(State.STALE, State.DAMAGED) if c.name in tried]
    for cell in [*failed, *as_before]:
        files = folder.cell(cell.name)
        reason = files.unfinished().note
        seen = f"log: {files.log}" if files.log.exists() else f"see {files.failed}"
        if cell.name in tried:
            print(f"failed: {cell.name}: {reason} ({seen})", file=sys.stderr)
        else:
            print(f"failed before: {cell.name} (see {files.failed})", file=sys.stderr)
    damaged = plan.with_state(State.DAMAGED)
    for cell in damaged:
        print(f"damaged: {plan.sights[cell.name].note}", file=sys.stderr)
    if damaged:
        again = command_line("--rerun-damaged")
        print(f"{len(damaged)} records are damaged; run them anew: {again}", file=sys.stderr)
    if failed:
        again = command_line("--retry-failed")
        print(f"{len(failed)} cells failed; try them again: {again}", file=sys.stderr)
    if stale := plan.with_state(State.STALE):
        again = command_line("--rerun-stale")
        print(f"{len(stale)} cells are stale, run by other code than today's; anew: {again}")
    done = len(plan.with_state(State.DONE, State.STALE))
    said = "done" if jobs or done < len(plan.cells) else "done already, nothing to run"
    print(f"{done} of {len(plan.cells)} cells {said}; results in {folder.path}")
    return int(done < len(plan.cells) or bool(as_before))
