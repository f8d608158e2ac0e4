"""The local pool: N worker processes that are started once and take one cell at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from runners.cell.run_context import RunContext
from runners.pool import worker
from runners.pool.cell_log import copied_to
from runners.pool.job_queue import LOOK_S, JobQueue
from runners.pool.messages import (
    DiskFull,
    EndedElsewhere,
    EpochOver,
    Failed,
    FewerWorkers,
    Message,
    OutOfMemory,
    Report,
    Retried,
    RunningElsewhere,
    Started,
    Stopped,
)
from runners.results.failures import Failure, Kind, of_exit, oom_kills
from runners.results.job import Job
from runners.system.errors import FullDisk
from runners.system.signals import task_signals_blocked

END_S = 5.0
"""Seconds that a worker is given to end before it is killed."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    device: str
    oom_kills: int
    job: Job | None = None
    heard: float = 0.0
    """`time.monotonic()` of its last word."""


def run_in_process(queue: JobQueue, context: RunContext, device: str, report: Report) -> None:
    """Runs jobs one after the other in this process, where a debugger can follow them.

    Raises:
        FullDisk: see there.
    """
    os.environ.update(worker.ENVIRONMENT)  # torch is imported later, by the first cell
    while len(queue):
        for message in queue.look():
            report(message)
        job = queue.next()
        if job is None:
            time.sleep(LOOK_S)
            continue
        report(Started(job.cell.name))
        _settle(job, worker.attempt(job, context, device, report, copied_to), queue, report)


def run_in_pool(
    queue: JobQueue, context: RunContext, devices: Sequence[str], report: Report
) -> None:
    """Runs jobs in worker processes, until all have ended here or at other runners.

    An exception here, Ctrl-C among them, ends the workers.

    Args:
        devices: one per worker, such as "cpu" or "cuda:0".
        report: called with every message as it comes.

    Raises:
        FullDisk: see there.
    """
    pool = Pool(queue, context, report)
    try:
        pool.start(devices)
        pool.run()
    finally:
        pool.stop(END_S)


class Pool:
    """The workers of one run and the messages that come from them.

    A worker that dies leaves `failed.json` for its cell and is replaced.
    """

    def __init__(self, queue: JobQueue, context: RunContext, report: Report) -> None:
        self.queue, self.context, self.report = queue, context, report
        self.workers: list[_Worker] = []

    def start(self, devices: Sequence[str]) -> None:
        """Starts one worker a device, not more than there are jobs."""
        os.environ.update(worker.ENVIRONMENT)
        self.workers = [_start(self.context, device) for device in devices[: len(self.queue)]]

    def stop(self, patience: float) -> None:
        """Ends the workers, which write a checkpoint first; after `patience` seconds by force."""
        _stop(self.workers, patience)

    def run(self) -> None:
        limit = 60 * (self.context.cell_timeout or 0)
        while self._assign() or len(self.queue):
            busy = {w.connection: w for w in self.workers if w.job}
            if not busy:  # all that is left is run by others
                time.sleep(LOOK_S)
                continue
            # A worker that has died ends its pipe only if no child of its own lives on.
            ends = {w.process.sentinel: w for w in busy.values()}
            ready = wait([*busy, *ends], timeout=LOOK_S if len(self.queue) or limit else None)
            for each in {id(w): w for w in ({**ends, **busy}[key] for key in ready)}.values():
                self._take(each)
            for each in busy.values() if limit else ():
                if each.job and time.monotonic() - each.heard > limit:
                    self._end_stuck(each)

    def _assign(self) -> bool:
        """Gives a job to every idle worker; returns whether any worker is busy."""
        for message in self.queue.look():
            self.report(message)
        for idle in [w for w in self.workers if not w.job]:
            idle.job = self.queue.next()
            if idle.job is not None:
                beside = sum(w.device == idle.device for w in self.workers) - 1
                idle.job = replace(idle.job, crowded=beside > 0)
                idle.heard = time.monotonic()
                self.report(Started(idle.job.cell.name))
                with contextlib.suppress(ConnectionError):  # dead: its pipe's end says so next
                    idle.connection.send(idle.job)
        return any(w.job for w in self.workers)

    def _take(self, busy: _Worker) -> None:
        """Takes a worker's next message; the end of its pipe means that it died with its cell."""
        busy.heard = time.monotonic()
        try:
            dead = not busy.process.is_alive() and not busy.connection.poll()
            message = self._after_death(busy) if dead else busy.connection.recv()
        except (EOFError, OSError):
            message = self._after_death(busy)
        if isinstance(message, EpochOver):
            self.report(message)
            return
        job, busy.job = busy.job, None
        if isinstance(message, OutOfMemory):
            self._continue_with_fewer(busy, job)
            return
        on_gpu = busy.device != "cpu"  # whose CUDA context an error may have broken
        if isinstance(message, Stopped) or (on_gpu and isinstance(message, Failed)):
            _stop([busy])
        if busy.connection.closed:
            self.workers.remove(busy)
            self.workers.append(_start(self.context, busy.device))
        _settle(job, message, self.queue, self.report)

    def _end_stuck(self, stuck: _Worker) -> None:
        """Ends a worker that has not said a word for too long; its cell has failed for now."""
        stuck.process.kill()
        reason = f"no epoch ended within {self.context.cell_timeout:g} minutes (run.cell_timeout)"
        message = self._after_death(stuck, Failure(Kind.STUCK, reason, reason))
        job, stuck.job = stuck.job, None
        self.workers.remove(stuck)
        self.workers.append(_start(self.context, stuck.device))
        _settle(job, message, self.queue, self.report)

    def _after_death(self, dead: _Worker, failure: Failure | None = None) -> Message:
        """Notes how a worker ended, unless another runner has taken its cell over already."""
        dead.process.join()
        dead.connection.close()
        job, name = dead.job, dead.job.cell.name
        lease = self.context.study.leases.take(name)
        if lease is None:
            return RunningElsewhere(name)
        with lease:
            if self.context.study.cell(name).status(job.fingerprint).version != job.version:
                return EndedElsewhere(name)  # it died after the end of its cell
            failure = failure or of_exit(dead.process.exitcode, oom_kills() > dead.oom_kills)
            return Failed(name, worker.note_failure(job, self.context, failure, lease))

    def _continue_with_fewer(self, busy: _Worker, job: Job) -> None:
        """Continues with fewer workers where memory ran out for several cells on one device."""
        beside = [w for w in self.workers if w.device == busy.device and w is not busy]
        _stop([busy])  # its memory is needed
        self.workers.remove(busy)
        if not beside:  # the others have left already, for the same reason
            self.workers.append(_start(self.context, busy.device))
        self.report(FewerWorkers(job.cell.name, max(1, len(beside))))
        self.queue.put_back(job)


def _settle(job: Job, message: Message, queue: JobQueue, report: Report) -> None:
    """Reports the end of an attempt, or gives the job back for another one."""
    match message:
        case DiskFull(_, sentence):
            raise FullDisk(sentence)
        case RunningElsewhere():
            queue.put_aside(job)
        case Stopped(name):
            message = Retried(name, "was asked to end")
            queue.put_back(replace(job, retries=max(0, job.retries - 1)))
        case Failed(name, failure) if failure.transient and job.retries:
            message = Retried(name, failure.reason)
            queue.retry(job)
        case EndedElsewhere(name):
            message = queue.after_others(job) or Retried(name, "was cut off at another runner")
    report(message)


def _start(context: RunContext, device: str) -> _Worker:
    # Forked from a clean process that has imported torch: that is paid for once a run.
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["torch"])
    ours, theirs = forks.Pipe()
    process = forks.Process(target=worker.serve, args=(theirs, context, device), daemon=True)
    killed = oom_kills()
    resource_tracker.ensure_running()  # which would unblock the signals
    with task_signals_blocked(), _safe_path():
        process.start()
    theirs.close()
    return _Worker(process, ours, device, killed)


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Python started inside does not take a `queue.py` of the working directory for torch's."""
    given = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTHONSAFEPATH"]
        if given is not None:
            os.environ["PYTHONSAFEPATH"] = given


def _stop(workers: Sequence[_Worker], patience: float = END_S) -> None:
    for each in workers:
        if each.job is not None and each.process.is_alive():
            each.process.terminate()
        each.connection.close()
    end = time.monotonic() + patience
    for each in workers:
        each.process.join(timeout=max(0.1, end - time.monotonic()))
        if each.process.is_alive():
            each.process.kill()
            each.process.join()
