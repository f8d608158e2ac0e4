"""Real file systems that are small, full or read-only, where this machine lets tests mount them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = 4096
"""Bytes in which a tmpfs counts: a file of one byte takes as much."""


def mount(*arguments: str | Path) -> None:
    """Runs `mount`; skips the test where that is not allowed."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip() or done.returncode}")


@contextlib.contextmanager
def small_disk(folder: Path, pages: int) -> Iterator[Path]:
    """A file system of so many pages at `folder`; whatever is mounted there is unmounted again."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small file system")
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={pages * PAGE}", "tmpfs", folder)
    try:
        yield folder
    finally:
        while os.path.ismount(folder):
            subprocess.run(["umount", folder], check=True)


def fill(folder: Path, free: int = 0) -> Path:
    """Fills the disk up to so many free pages; returns the file that does."""
    path = folder / "something else"
    left = os.statvfs(folder)
    with path.open("wb") as file:
        file.write(bytes(PAGE) * (left.f_bavail * left.f_frsize // PAGE - free))
    return path
