"""The local pool: N worker processes that are started once and take one cell at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from runners import worker
from runners.grid import Cell
from runners.place import Place
from runners.store import StudyFolder

Message = tuple[Any, ...]
"""("started", name), ("epoch", name, epoch, epochs), ("done", name, accuracy, seconds) or
("failed", name, reason)."""

Report = Callable[[Message], None]


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    cell: Cell | None = None


def run_in_process(cells: Sequence[Cell], place: Place, device: str, report: Report) -> None:
    """Runs cells one after the other in this process, where a debugger can follow them."""
    os.environ.update(worker.ENVIRONMENT)  # torch is imported later, by the first cell
    for cell in cells:
        report(("started", cell.name))
        report(worker.attempt(cell, place, device, report))


def run_in_pool(
    cells: Sequence[Cell], place: Place, devices: Sequence[str], report: Report
) -> None:
    """Runs cells in worker processes.

    A worker that dies leaves `failed.json` for its cell and is replaced. An exception here, Ctrl-C
    among them, ends the workers.

    Args:
        cells: in the order in which they are started.
        devices: one per worker, such as "cpu" or "cuda:0".
        report: called with every message as it comes.
    """
    os.environ.update(worker.ENVIRONMENT)
    waiting = list(reversed(cells))
    workers: list[_Worker] = []
    try:
        for device in devices[: len(cells)]:
            workers.append(_start(place, device))
            _assign(workers[-1], waiting, report)
        while busy := {w.connection: number for number, w in enumerate(workers) if w.cell}:
            for connection in wait(list(busy)):
                number = busy[connection]
                message = _receive(workers[number], place.study)
                report(message)
                if message[0] == "epoch":
                    continue
                if message[0] == "failed" and devices[number] != "cpu":
                    _stop([workers[number]])  # an error may have broken its CUDA context
                if connection.closed:  # the worker is dead
                    workers[number] = _start(place, devices[number])
                _assign(workers[number], waiting, report)
    finally:
        _stop(workers)


def _start(place: Place, device: str) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.serve, args=(theirs, place, device), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _assign(idle: _Worker, waiting: list[Cell], report: Report) -> None:
    idle.cell = waiting.pop() if waiting else None
    with contextlib.suppress(ConnectionError):  # a dead worker: its pipe's end says so next
        idle.connection.send(idle.cell)
    if idle.cell is not None:
        report(("started", idle.cell.name))


def _receive(busy: _Worker, study: StudyFolder) -> Message:
    """The worker's next message; the end of its pipe means that it died with its cell."""
    try:
        return busy.connection.recv()
    except (EOFError, OSError):
        busy.process.join()
        busy.connection.close()
        folder = study.cell(busy.cell.name)
        reason = _cause_of_death(busy.process.exitcode)
        folder.write_failure(reason, reason, folder.attempts() + 1)
        return "failed", busy.cell.name, reason


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the worker was killed by {name}{hint}"
    return f"the worker ended with exit code {exit_code}"


def _stop(workers: Sequence[_Worker]) -> None:
    for each in workers:
        if each.cell is not None and each.process.is_alive():
            each.process.terminate()
        each.connection.close()
    for each in workers:
        each.process.join(timeout=5)
        if each.process.is_alive():
            each.process.kill()
            each.process.join()
