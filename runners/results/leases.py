"""Leases: which process runs a cell, so that two runners of one folder never run it twice.

A lease of cell X is the file `leases/X.<n>`, made with O_EXCL, that names its holder. Whoever finds
that the holder of X.<n> is dead makes X.<n+1>; files are never overwritten, so of several that try
one wins, and whoever was killed on the way leaves a dead lease and nothing else. After making its
file a process looks again: a live lease beside its own means that it came too late, and so does the
loss of its own, which others take for dead where writing it took longer than `UNWRITTEN_S`.

A holder of this machine is dead when its process is gone (or is another one under the same number);
one of another machine when its heartbeat, the file's time of change, has been still for `SILENT_S`.
Ages are taken by the clock of the file system, which sets these times, as those of hosts disagree.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runners.system.files import naming
from runners.system.processes import ProcessId, this_process

HEARTBEAT_S = 5.0
QUIET_S = 3 * HEARTBEAT_S
"""Silence from which a heart may have stopped."""
SILENT_S = 60.0
PAUSES_S = (0.2, 1.0, 5.0)
"""Between attempts to read a lease whose file server fails for a moment."""
UNWRITTEN_S = 10.0
"""Age from which a lease without readable content is dead: its maker was cut off in between."""


class LeaseLost(Exception):
    """Another process has taken this cell over; nothing may be written for it any more."""


@dataclass(frozen=True)
class LeaseInfo:
    """What a live lease says.

    Attributes:
        holder: the process; None where the file is just being written.
        silent_s: seconds since its heartbeat.
        device: what the cell runs on, such as "cpu" or "cuda:0".
        job: the SLURM job that the holder belongs to, such as "12" or "12_3", or None.
    """

    owner: ProcessId | None
    silent_s: float
    device: str = ""
    job: str | None = None


class Lease:
    """A lease that this process holds; a thread keeps its heart beating until `release`."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self._content = path, content
        self._stop = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):  # a busy server: next time
                if not self.is_ours():
                    return  # `check` says so
                os.utime(self.path)

    def check(self) -> None:
        """Raises LeaseLost if another process has taken the cell over."""
        if not self.is_ours():
            raise LeaseLost(f"the lease {self.path} was taken over by another runner")

    def is_ours(self) -> bool:
        """Whether the file is still the one that this process made."""
        current = _read(self.path)
        return current is not None and current[0] == self._content

    def release(self) -> None:
        self._stop.set()
        if self.is_ours():
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Leases:
    """The leases of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, name: str, device: str = "") -> Lease | None:
        """The lease of a cell, or None where another process holds it.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        before = self._generations(name)
        if self._claims(before.values()):
            return None
        number = max(before, default=-1) + 1
        path, content = self.folder / f"{name}.{number}", _content(device)
        try:
            _create(path, content)
        except FileExistsError:
            return None
        lease = Lease(path, content)
        beside = self._generations(name)
        beside.pop(number, None)
        if not lease.is_ours() or self._claims(beside.values()):
            lease.release()
            return None
        for other in beside.values():
            other.unlink(missing_ok=True)
        return lease

    def live(self) -> dict[str, LeaseInfo]:
        """Cell name -> what its live lease says, for all cells that are being run."""
        lease_infos = self._claims(self._files())
        return {
            path.name.rpartition(".")[0]: lease_info for path, lease_info in lease_infos.items()
        }

    def _files(self) -> Iterator[Path]:
        try:
            yield from (path for path in self.folder.iterdir() if path.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return

    def _generations(self, name: str) -> dict[int, Path]:
        parts = ((path, *path.name.rpartition(".")) for path in self._files())
        return {int(n): path for path, cell, _, n in parts if cell == name and n.isdecimal()}

    def _claims(self, paths: Iterable[Path]) -> dict[Path, LeaseInfo]:
        """What those of the leases say that are live."""
        paths = list(paths)
        now = self._now() if paths else 0.0
        infos = ((path, _claim(path, now)) for path in paths)
        return {path: lease_info for path, lease_info in infos if lease_info is not None}

    def _now(self) -> float:
        """The time by the clock of the file system."""
        try:
            os.utime(self.folder)
            return self.folder.stat().st_mtime
        except OSError:  # one who may only look
            return time.time()


def _create(path: Path, content: bytes) -> None:
    """Makes a file that is not there yet; one that cannot be written is removed again."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        with naming(path):
            _write(descriptor, content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[bytes, float] | None:
    """Content and time of change of a lease, None if it is gone.

    It is opened first: of a file that was not, a client of a file server knows old times. An error
    of the server that may pass is waited out.
    """
    pauses = iter(PAUSES_S)
    while True:
        try:
            with path.open("rb") as file:
                return file.read(), os.fstat(file.fileno()).st_mtime
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESTALE):
                return None
            pause = next(pauses, None)
            if pause is None or error.errno not in (errno.EIO, errno.EAGAIN, errno.ETIMEDOUT):
                raise
            time.sleep(pause)


def _claim(path: Path, now: float) -> LeaseInfo | None:
    """What a lease says; None where its holder is dead or the file is gone."""
    current = _read(path)
    if current is None:
        return None
    content, changed = current
    said, age = _parsed(content), now - changed
    # A heart that beats sets the present time: a date far ahead is nobody's heartbeat.
    age = math.inf if age < -SILENT_S else max(0.0, age)
    if said is None:
        return LeaseInfo(None, age) if age < UNWRITTEN_S else None
    owner = ProcessId(**said["holder"])
    alive = owner.lives()
    if alive is False or (alive is None and age > SILENT_S):
        return None
    return LeaseInfo(owner, age, said.get("device", ""), said.get("job"))


def _write(descriptor: int, content: bytes) -> None:
    """Writes all of it: a disk that is filling up takes a part, and refuses only the next one."""
    while content:
        content = content[os.write(descriptor, content) :]


def _content(device: str) -> bytes:
    said = {"holder": asdict(this_process()), "device": device, "job": _job()}
    return json.dumps({**said, "token": uuid.uuid4().hex, "taken": time.time()}).encode()


def _job() -> str | None:
    """The SLURM job of this process as squeue shows it; elements have numbers of their own too."""
    ids = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_ID")
    array, element, job = map(os.environ.get, ids)
    return f"{array}_{element}" if array and element else job


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(content)
        owner = ProcessId(**said["holder"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (owner.host, owner.machine, owner.start)
    sensible = all(isinstance(text, str) for text in texts) and type(owner.pid) is int
    return said if sensible else None
