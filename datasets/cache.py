"""Decoded data that are kept on disk so that they are made once: where, and written whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def cache_folders(path: Path) -> list[Path]:
    """Folders for what is made of the file or folder at `path`, in order of preference."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folders = [Path(cache).expanduser() / "noisy-label-suite"]
    # The mode bits are asked too: an administrator may write anywhere, but a folder without any
    # write permission was closed on purpose.
    if os.access(path.parent, os.W_OK) and path.parent.stat().st_mode & 0o222:
        folders.insert(0, path.parent)
    return folders


def written(place: Path, content: Callable[[IO[bytes]], Any]) -> bool:
    """Whether a file could be written, whole; a full or read-only disk is no reason to stop."""
    temporary = place.with_name(f"{place.name}.tmp{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            content(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True
