"""A worker process: takes cells from its runner one after the other until there are no more.

Imports, data sets and CUDA contexts are paid for once. What a cell prints goes to its own log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from pathlib import Path
from typing import Any

from runners.cell.run_context import RunContext
from runners.pool.cell_log import logged_to
from runners.pool.messages import (
    DiskFull,
    Done,
    EndedElsewhere,
    EpochOver,
    Failed,
    Message,
    OutOfMemory,
    Report,
    RunningElsewhere,
    Stopped,
)
from runners.results.failures import Failure, Kind, is_full_disk, of_error
from runners.results.job import Job
from runners.results.leases import Lease, LeaseLost
from runners.system.signals import StopRequested, request_stop, stop_requested

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # one and two threads give different weights (protocol)
    "MKL_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic cuBLAS
    # Keep freed memory: every step allocates the same tensors (on a CPU the median step is
    # 1.07 to 1.24 times faster: results/speed/cpu-settings.json).
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "67108864",
}
"""Environment of a worker, read by the libraries when the process starts."""


def serve(connection: Connection, context: RunContext, device: str) -> None:
    """Runs the jobs that arrive on `connection`; None or a closed pipe ends the process.

    Sends a message after every epoch and the closing message of `attempt`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner decides what Ctrl-C means
    signal.signal(signal.SIGTERM, request_stop)  # ends after the next checkpoint
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # blocked while it started
    os.environ.pop("PYTHONSAFEPATH", None)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def send(message: Message) -> None:
        try:
            connection.send(message)
        except ConnectionError:  # the runner does not listen any more
            request_stop()

    with contextlib.suppress(EOFError):
        while not stop_requested() and (job := connection.recv()) is not None:
            send(attempt(job, context, device, send, logged_to))


def _end_with_parent() -> None:
    wait([parent_process().sentinel])
    os._exit(1)


def attempt(
    job: Job,
    context: RunContext,
    device: str,
    send: Report,
    log_to: Callable[[Path], contextlib.AbstractContextManager],
) -> Message:
    """Runs one cell under its lease, whatever happens in it; returns the closing message.

    Args:
        log_to: `logged_to` or `copied_to` of `runners.pool.cell_log`.

    Returns:
        `Done`, `Failed`, `RunningElsewhere`, `EndedElsewhere`, `OutOfMemory`, `DiskFull` or
        `Stopped`.
    """
    name = job.cell.name
    folder = context.study.cell(name)
    try:
        lease = context.study.leases.take(name, f"{device} ({context.warning})".replace(" ()", ""))
        if lease is None:
            return RunningElsewhere(name)
        with lease:
            if folder.status(job.fingerprint).version != job.version:
                return EndedElsewhere(name)
            with log_to(folder.log):
                return _run(job, context, device, send, lease)
    except LeaseLost:
        return RunningElsewhere(name)
    except StopRequested:
        return Stopped(name)
    except OSError as error:  # what is the cell's own fault is a failure by now
        return DiskFull(name, f"{error.filename or folder.path}: {error.strerror}")


def _run(job: Job, context: RunContext, device: str, send: Report, lease: Lease) -> Message:
    name = job.cell.name
    try:
        record = _record(job, context, device, send, lease)
    except LeaseLost:
        raise
    except (Exception, SystemExit) as error:
        if is_full_disk(error):
            raise
        details = traceback.format_exc()
        print(details, file=sys.stderr, flush=True)
        failure = of_error(error, details)
        if failure.kind == Kind.MEMORY and job.crowded:
            return OutOfMemory(name)
        return Failed(name, note_failure(job, context, failure, lease))
    last = record["accuracy"]["last"]
    return Done(name, last.get("test", last.get("dev")), record["timing"]["total_s"])


def _record(
    job: Job, context: RunContext, device: str, send: Report, lease: Lease
) -> dict[str, Any]:
    """Runs a cell; raises what it raises, and what stands in the way of torch or of the device."""
    import torch

    from runners.cell.run_cell import run_cell

    torch.set_num_threads(context.threads)
    if device != "cpu":
        torch.cuda.set_device(device)
        torch.cuda.init()
    name, epochs = job.cell.name, job.cell.protocol["epochs"]
    if context.warning:
        logging.getLogger("cell").warning(context.warning)

    def report(entry: dict[str, Any]) -> None:
        judged = entry.get("test", entry.get("dev"))
        logging.getLogger("cell").info("epoch %d accuracy %.4f", entry["epoch"], judged)
        send(EpochOver(name, entry["epoch"], epochs))

    return run_cell(job.cell, context, torch.device(device), report, lease.check)


def note_failure(job: Job, context: RunContext, failure: Failure, lease: Lease) -> Failure:
    """Writes `failed.json` for a cell whose lease this process holds; returns the failure."""
    lease.check()
    folder = context.study.cell(job.cell.name)
    folder.write_failure(failure, job.version[1] + 1)
    return failure
