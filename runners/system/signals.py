"""How a run is asked to end: signals become exceptions, or a request met between two steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

ENDING = (signal.SIGINT, signal.SIGTERM)

_wished = False  # no threading.Event: its lock would hang a handler that interrupts itself


class Terminated(KeyboardInterrupt):
    """SIGTERM at a runner: ends a run as Ctrl-C does."""


class StopRequested(BaseException):
    """A worker that was asked to end has written a checkpoint; no failure of its cell."""


def request_stop(*_: object) -> None:
    """Asks this process to end after its next checkpoint; usable as a signal's handler."""
    global _wished
    _wished = True


def stop_requested() -> bool:
    """Whether this process was asked to end."""
    return _wished


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Inside, the first SIGTERM raises Terminated in the main thread; later ones are ignored.

    They are from then on, also outside: no other one may cut off what the first one has begun. In
    other threads nothing is changed: only the main one may say what a signal does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is end:
            signal.signal(signal.SIGTERM, before)


def hold_signals() -> None:
    """Keeps Ctrl-C and SIGTERM waiting until `release_signals`, as long as imports take."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def release_signals() -> None:
    """Lets Ctrl-C and SIGTERM in, those first that have come since `hold_signals`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


@contextlib.contextmanager
def task_signals_blocked() -> Iterator[None]:
    """Processes started inside do not see what SLURM sends to all of a task: SIGUSR2, SIGTERM.

    A mask is inherited and a handler is not: without it these would kill a worker that has just
    been started, or the process from which workers are forked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
