"""Daemons that are started, found again and ended by their process id alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
TERM_PATIENCE = 15
"""Seconds that a daemon gets between SIGTERM and SIGKILL."""


def poll(condition: Callable[[], T], deadline: float, what: str | Callable[[], str]) -> T:
    """Asks ten times a second until the answer is true, and returns it.

    Args:
        condition: the question.
        deadline: seconds from now.
        what: what did not come true, for the message.

    Raises:
        TimeoutError: the deadline has passed.
    """
    end = time.monotonic() + deadline
    while not (answer := condition()):
        if time.monotonic() > end:
            words = what if isinstance(what, str) else what()
            raise TimeoutError(f"not within {deadline:g} s: {words}")
        time.sleep(0.1)
    return answer


class Daemon:
    """A process in a session of its own, remembered in a file.

    The file holds the process id and the start time: an id that was given to another process since
    is not taken for the daemon.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.note = folder / "run" / f"{name}.pid"
        self.log = folder / "log" / f"{name}.out"

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Starts the program, which must stay in the foreground."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.note.write_text(f"{process.pid} {_stat(process.pid)[1]}")
        # Popen would complain at its end that the process lives; it is ours to end, by its id.
        process.returncode = 0

    @property
    def pid(self) -> int | None:
        """The process id, or None if the daemon does not run."""
        if not self.note.exists():
            return None
        pid, started = self.note.read_text().split()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(pid), os.WNOHANG)
        return int(pid) if _lives(int(pid), started) else None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ends the daemon, in the end by SIGKILL."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, number)
        try:
            poll(lambda: self.pid is None, TERM_PATIENCE, self.name)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            poll(lambda: self.pid is None, TERM_PATIENCE, f"{self.name} does not even die")
        self.note.unlink()


def _stat(pid: int) -> tuple[str, str]:
    """State and start time of a process; "X" and "" if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X", ""
    fields = text.rpartition(")")[2].split()  # a program's name may hold blanks
    return fields[0], fields[19]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def of_jobs(conf: Path, job: str | None = None, tasks_only: bool = False) -> list[int]:
    """Process ids of the step daemons, batch scripts and tasks of one cluster.

    Args:
        conf: the cluster's slurm.conf: several clusters on a machine give the same job ids.
        job: a job's own number (`SLURM_JOB_ID`); None for all jobs.
        tasks_only: leave out step daemons and what the batch script runs without srun.
    """
    wanted = f"SLURM_JOB_ID={job}".encode() if job else b"SLURM_JOB_ID="
    title = f"slurmstepd: [{job}.".encode() if job else b"slurmstepd: ["
    found = []
    for pid in _pids():
        variables = _read(pid, "environ").split(b"\0")
        if f"SLURM_CONF={conf}".encode() not in variables or pid == os.getpid():
            continue
        in_job = wanted in variables if job else any(v.startswith(wanted) for v in variables)
        if tasks_only:
            in_job = in_job and any(v.startswith(b"SLURM_STEPID=") for v in variables)
        elif _read(pid, "cmdline").startswith(title):
            in_job = True
        if in_job:
            found.append(pid)
    return found


def kill_jobs(conf: Path) -> None:
    """Ends by SIGKILL whatever runs of the jobs of a cluster, and waits until it is gone.

    A process that is being killed loses its environment, by which it is found, a while before it
    is dead; until then it holds its files, and is alive to others.
    """
    killed = set()

    def some_left() -> bool:
        for pid in (found := of_jobs(conf)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update((pid, _stat(pid)[1]) for pid in found)
        return bool(found) or any(_lives(pid, since) for pid, since in killed)

    poll(lambda: not some_left(), 30, "the end of all tasks")


def _lives(pid: int, since: str) -> bool:
    state, started = _stat(pid)
    return started == since and state not in "ZX"


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
