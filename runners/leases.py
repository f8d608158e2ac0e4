"""Leases: which process runs a cell, so that two runners of one folder never run it twice.

A lease of cell X is the file `leases/X.<n>`, made with O_EXCL, that names its holder. Whoever finds
that the holder of X.<n> is dead makes X.<n+1>; files are never overwritten, so of several that try
one wins, and whoever was killed on the way leaves a dead lease and nothing else. After making its
file a process looks again: a live lease beside its own means that it came too late.

A holder of this machine is dead when its process is gone (or is another one under the same number);
one of another machine when its heartbeat, the file's time of change, has been still for `SILENT_S`.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runners.processes import Holder, this_process

HEARTBEAT_S = 5.0
QUIET_S = 3 * HEARTBEAT_S
"""Silence from which a heart may have stopped."""
SILENT_S = 60.0
UNWRITTEN_S = 10.0
"""Age from which a lease without readable content is dead: its maker was cut off in between."""


class LeaseLost(Exception):
    """Another process has taken this cell over; nothing may be written for it any more."""


@dataclass(frozen=True)
class Claim:
    """What a live lease says.

    Attributes:
        holder: the process; None where the file is just being written.
        silent_s: seconds since its heartbeat.
        device: what the cell runs on, such as "cpu" or "cuda:0".
        job: the SLURM job that the holder belongs to, such as "12" or "12_3", or None.
    """

    holder: Holder | None
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
            with contextlib.suppress(OSError):  # lost: `check` says so; a busy server: next time
                os.utime(self.path)

    def check(self) -> None:
        """Raises LeaseLost if another process has taken the cell over."""
        if not self._is_ours():
            raise LeaseLost(f"the lease {self.path} was taken over by another runner")

    def _is_ours(self) -> bool:
        try:
            return self.path.read_bytes() == self._content
        except FileNotFoundError:
            return False

    def release(self) -> None:
        self._stop.set()
        if self._is_ours():
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
        if any(self._claim(path, time.time()) for path in before.values()):
            return None
        path = self.folder / f"{name}.{max(before, default=-1) + 1}"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return None
        content = _content(device)
        try:
            os.write(descriptor, content)
            now = os.fstat(descriptor).st_mtime  # the file system's clock: hosts may disagree
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        beside = self._generations(name)
        own = beside.pop(int(path.name.rpartition(".")[2]), None)
        if own is None or any(self._claim(other, now) for other in beside.values()):
            path.unlink(missing_ok=True)
            return None
        for other in beside.values():
            other.unlink(missing_ok=True)
        return Lease(path, content)

    def live(self) -> dict[str, Claim]:
        """Cell name -> what its live lease says, for all cells that are being run."""
        now, found = time.time(), {}
        for path in self._files():
            claim = self._claim(path, now)
            if claim is not None:
                found[path.name.rpartition(".")[0]] = claim
        return found

    def _files(self) -> Iterator[Path]:
        try:
            yield from self.folder.iterdir()
        except (FileNotFoundError, NotADirectoryError):
            return

    def _generations(self, name: str) -> dict[int, Path]:
        parts = ((path, *path.name.rpartition(".")) for path in self._files())
        return {int(n): path for path, cell, _, n in parts if cell == name and n.isdigit()}

    def _claim(self, path: Path, now: float) -> Claim | None:
        """What a lease says; None where its holder is dead or the file is gone."""
        try:
            age = now - path.stat().st_mtime
            said = _parsed(path.read_bytes())
        except FileNotFoundError:
            return None
        if said is None:
            return Claim(None, age) if age < UNWRITTEN_S else None
        holder = Holder(**said["holder"])
        alive = holder.lives()
        if alive is False or (alive is None and age > SILENT_S):
            return None
        return Claim(holder, max(0.0, age), said.get("device", ""), said.get("job"))


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
        Holder(**said["holder"])
    except (ValueError, KeyError, TypeError):
        return None
    return said
