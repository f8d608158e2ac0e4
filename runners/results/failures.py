"""Why a cell failed, and whether a retry can help. Imports no torch."""

from __future__ import annotations

import enum
import errno
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.system.canonical import SCHEMA

REASON = 300
"""Characters of an error that lists show; all of it stands in `failed.json` and the log."""

LOG_TAIL = 20
"""Lines of the cell's log that `failed.json` repeats."""

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}

NO_MEMORY = (
    "can't allocate memory",  # torch on a CPU
    "out of memory",  # a CUDA error where the context itself or the first allocation finds none
    "ALLOC_FAILED",  # cuBLAS and cuDNN
)
"""Words of a RuntimeError that means running out of memory."""


class Kind(enum.StrEnum):
    """What kind of end a cell came to."""

    RAISED = "raised"
    DIVERGED = "diverged"
    MEMORY = "memory"
    CUDA = "cuda"
    KILLED = "killed"
    CRASHED = "crashed"
    EXITED = "exited"
    LIMIT = "limit"
    STUCK = "stuck"


TRANSIENT = {Kind.CUDA, Kind.KILLED, Kind.STUCK}
"""What may go well the next time although nothing was changed."""


@dataclass(frozen=True)
class Failure:
    """The end of an attempt that left no record.

    Attributes:
        kind: see `Kind`.
        reason: one line for lists.
        details: the traceback, or what is known of the signal.
    """

    kind: Kind
    reason: str
    details: str

    @property
    def transient(self) -> bool:
        """Whether a plain run tries such a cell again."""
        return self.kind in TRANSIENT

    def as_json(self, attempts: int, log: Path) -> dict[str, Any]:
        """The content of `failed.json`."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "transient": self.transient,
            "reason": self.reason,
            "details": self.details,
            "attempts": attempts,
            "host": socket.gethostname(),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "log_tail": _tail(log),
        }


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            return file.read().decode(errors="replace").rstrip().splitlines()[-LOG_TAIL:]
    except OSError:
        return []


def of_error(error: Exception | SystemExit, details: str) -> Failure:
    """The failure of a cell whose code raised `error`, or exited."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SystemExit):
        said = f"exited with code {error.code or 0!r}"
    return Failure(_kind(error), " ".join(said.split())[:REASON], details)


def _kind(error: Exception | SystemExit) -> Kind:
    name, text = type(error).__name__, str(error)
    if isinstance(error, SystemExit):
        return Kind.EXITED
    if name == "Diverged":
        return Kind.DIVERGED
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return Kind.MEMORY
    if isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY):
        return Kind.MEMORY
    of_cuda = any(word in text for word in ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "NCCL"))
    if isinstance(error, RuntimeError) and of_cuda and "device-side assert" not in text:
        return Kind.CUDA
    return Kind.RAISED


def of_exit(exit_code: int | None, by_oom_killer: bool) -> Failure:
    """The failure of a cell whose worker ended with it; a negative code is a signal's number."""
    if exit_code is not None and exit_code < 0:
        number = -exit_code
        hint = " (out of memory?)" if number == signal.SIGKILL else ""
        hint = " by the kernel: out of memory" if by_oom_killer else hint
        text = f"the worker was killed by {_signal_name(number)}{hint}"
        return Failure(Kind.CRASHED if number in CRASHES else Kind.KILLED, text, text)
    text = f"the worker ended with exit code {exit_code}"
    return Failure(Kind.EXITED, text, text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have no name
        return f"signal {number}"


def oom_kills() -> int:
    """How many processes this machine's kernel has killed when memory ran out; 0 if unknown."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that nothing more can be written, so that no cell can go on."""
    return isinstance(error, OSError) and error.errno in FULL_DISK
