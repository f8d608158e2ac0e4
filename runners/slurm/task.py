"""What a task of SLURM runs: its cells, in the same pool as on any machine.

submitit pickles a `RunCells`, which holds names and nothing else: everything that matters is in the
study's folder. Whenever a task is started again, by itself or by anybody, its cells resume
from their checkpoints.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from runners.pool.devices import count_gpus
from runners.pool.job_queue import JobQueue
from runners.pool.messages import EndedElsewhere, Failed, Message
from runners.pool.pool import Pool
from runners.pool.worker import note_failure
from runners.results.failures import Failure, Kind
from runners.results.store import CellStatus
from runners.slurm import attempts
from runners.slurm.task_spec import TaskSpec, read_task_spec
from runners.study.slurm_times import text_of
from runners.system.signals import ended_by_sigterm

EARLY_S = 90
"""Seconds that SLURM's warning may come too early, or Python have taken to start."""


class RunCells:
    """The callable of one task.

    Args:
        folder: of the submission.
        task: name of the task within it.
        cells: names of its cells.
    """

    def __init__(self, folder: str, task: str, cells: tuple[str, ...]) -> None:
        self.folder, self.task, self.cells = folder, task, cells
        self._pool: Pool | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_pool": None}

    def __call__(self) -> str:
        """Runs the cells that have not ended since they were submitted."""
        spec, folder = read_task_spec(Path(self.folder)), Path(self.folder)
        print(attempts.BEGINS, file=sys.stderr, flush=True)
        now = attempts.progress(spec.context.study, self.cells)
        attempts.note(folder, self.task, what="began", progress=now)
        devices, warning = devices_here(spec)
        if not devices:
            self._fail(spec, Kind.RAISED, warning)
            return warning
        context = replace(spec.context, warning=warning)
        jobs = [spec.jobs[cell] for cell in self.cells]
        self._pool = Pool(JobQueue(jobs, context.study), context, _say)
        with ended_by_sigterm():
            try:
                self._pool.start(devices)
                self._pool.run()
            finally:
                # After a requeue SLURM ends the task at once; the workers are ended in any case.
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                self._pool.stop(spec.signal_s / 3)
        return "all cells have ended"

    def checkpoint(self) -> Any:
        """Called by submitit before a limit or a preemption: cells write checkpoints, then end.

        Returns:
            What is to run after the requeue; None where further attempts would not get on either.
        """
        from submitit.helpers import DelayedSubmission

        signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a second warning would count as an attempt
        folder, spec = Path(self.folder), read_task_spec(Path(self.folder))
        noted = attempts.notes(folder, self.task)
        began = next((line for line in reversed(noted) if line.get("what") == "began"), {})
        ran = time.time() - began.get("when", 0.0)
        what = "limit" if ran > 60 * spec.minutes - spec.signal_s - EARLY_S else "warned"
        if self._pool is not None:
            self._pool.stop(spec.signal_s / 2)
        moved = attempts.progress(spec.context.study, self.cells) != began.get("progress")
        attempts.note(folder, self.task, what=what, progress=moved)
        if attempts.stands_still(folder, self.task):
            limit = text_of(spec.minutes)
            self._fail(
                spec,
                Kind.LIMIT,
                f"two attempts in a row came to their time limit of {limit} without a new "
                "checkpoint: raise slurm.time or lower run.checkpoint_minutes",
            )
            return None
        return DelayedSubmission(self)

    def _fail(self, spec: TaskSpec, kind: Kind, reason: str) -> None:
        """Notes one failure for all cells that have not ended."""
        print(reason, file=sys.stderr, flush=True)
        for cell in self.cells:
            job, study = spec.jobs[cell], spec.context.study
            lease = study.leases.take(cell)
            if lease is None:
                continue
            with lease:
                if study.cell(cell).status(job.fingerprint).version == job.version:
                    note_failure(job, spec.context, Failure(kind, reason, reason), lease)


def devices_here(spec: TaskSpec) -> tuple[list[str], str]:
    """One device a worker in this task, and a warning.

    `auto` takes the CPU where torch sees no GPU, `cuda` does not: then there is no device.
    """
    gpus = count_gpus() if spec.device != "cpu" else 0
    if gpus:
        return [f"cuda:{i}" for _ in range(spec.cells_per_gpu) for i in range(gpus)], ""
    if spec.device == "cuda":
        return [], "run.device is cuda and torch sees no GPU in this task: must be auto or cpu"
    given = spec.wants_gpu and spec.device == "auto"
    warning = "torch sees no GPU although the task was given one; the CPU is used" if given else ""
    return ["cpu"] * spec.at_once, warning


def _say(message: Message) -> None:
    match message:
        case Failed(name, failure):
            print("failed", name, failure.reason, flush=True)
        case EndedElsewhere(name, CellStatus(state=state)):
            print("ended elsewhere", name, state, flush=True)
        case _:
            print(message, flush=True)
