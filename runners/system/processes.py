"""Which process made or holds something, and whether it still lives. Standard library only."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessId:
    """A process, told apart from every other one, also from a later one with the same number.

    Attributes:
        host: name of its machine, for people.
        machine: changes with every boot and every container, so process numbers can be compared.
        pid: its number.
        start: when it started, in the kernel's ticks; "" where the system does not say.
    """

    host: str
    machine: str
    pid: int
    start: str

    @property
    def tag(self) -> str:
        """The process as part of a file's name."""
        return f"{self.machine}-{self.pid}-{self.start}"

    def lives(self) -> bool | None:
        """Whether the process runs; None where that cannot be seen: on another machine, or another
        user's where /proc hides these.
        """
        return _lives(self.machine, self.pid, self.start)


def this_process() -> ProcessId:
    """The calling process."""
    return ProcessId(socket.gethostname(), _machine(), os.getpid(), _start(os.getpid()) or "")


def is_tag(text: str) -> bool:
    """Whether a text is the tag of a process."""
    return re.fullmatch(r"[0-9a-f]{12}-\d+-\d*", text) is not None


def lives(tag: str) -> bool | None:
    """Whether the process with this tag runs; None if that cannot be seen or it is no tag."""
    machine, _, rest = tag.partition("-")
    pid, _, start = rest.partition("-")
    return _lives(machine, int(pid), start) if pid.isdigit() else None


def _lives(machine: str, pid: int, start: str) -> bool | None:
    if machine != _machine():
        return None
    found = _start(pid)
    if found is not None:
        return found == start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return None  # /proc may hide it (hidepid=2), and its number may have gone to another
    return not Path("/proc/self/stat").exists()  # where there is one, it only waits to be reaped


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # With the host's name: machines that were cloned while they ran share a boot.
        name = f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        name = socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def _start(pid: int) -> str | None:
    """Start of a process in ticks since boot; None if it is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold anything
    return None if fields[0] in "ZX" else fields[19]
