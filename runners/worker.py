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
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from pathlib import Path
from typing import Any

from runners.grid import Cell
from runners.place import Place

REASON = 300
"""Characters of an error that lists show; all of it stands in `failed.json` and the log."""

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # one and two threads give different weights (protocol)
    "MKL_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic cuBLAS
    # Keep freed memory: every step allocates the same tensors (1.1 to 1.2 times faster on a CPU).
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "67108864",
}
"""Environment of a worker, read by the libraries when the process starts."""


def serve(connection: Connection, place: Place, device: str) -> None:
    """Runs the cells that arrive on `connection`; None or a closed pipe ends the process.

    Sends ("epoch", name, epoch, epochs), ("done", name, accuracy, seconds) and
    ("failed", name, reason); a failed cell has left `failed.json`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner decides what Ctrl-C means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError):
        while (cell := connection.recv()) is not None:
            with _log_to(place.study.cell(cell.name).log):
                message = attempt(cell, place, device, connection.send)
            connection.send(message)


def _end_with_parent() -> None:
    wait([parent_process().sentinel])
    os._exit(1)


def attempt(
    cell: Cell, place: Place, device: str, send: Callable[[tuple[Any, ...]], None]
) -> tuple[Any, ...]:
    """Runs one cell; whatever it raises becomes `failed.json`. Returns the closing message."""
    import torch

    from runners.cell import run_cell

    torch.set_num_threads(place.threads)
    if device != "cpu":
        torch.cuda.set_device(device)
        torch.cuda.init()
    folder = place.study.cell(cell.name)

    def report(entry: dict[str, Any]) -> None:
        judged = entry.get("test", entry.get("dev"))
        logging.getLogger("cell").info("epoch %d accuracy %.4f", entry["epoch"], judged)
        send(("epoch", cell.name, entry["epoch"], cell.protocol["epochs"]))

    try:
        record = run_cell(cell, place, torch.device(device), report)
    except Exception as error:
        details = traceback.format_exc()
        print(details, file=sys.stderr)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:REASON]
        folder.write_failure(reason, details, folder.attempts() + 1)
        return "failed", cell.name, reason
    last = record["accuracy"]["last"]
    accuracy = last.get("test", last.get("dev"))
    return "done", cell.name, accuracy, record["timing"]["total_s"]


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Sends standard output, standard error and logging of this process to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with path.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for target, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)
