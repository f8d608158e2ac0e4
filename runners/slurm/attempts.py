"""What each attempt of a task notes of itself: that it has begun, and how it was warned of its end.

`<submission>/attempts/<array>-<number>` holds one JSON line a note. The queue forgets; this file
tells a task that has run from one that never started, and one that gets on from one that does not.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runners.results.store import StudyFolder

FOLDER = "attempts"
CANCELLED = "cancelled"
"""What `--cancel` notes of a task that had run before."""
BEGINS = "--- an attempt begins"
"""Written to a task's standard error: what stands before it tells of other attempts."""


def name_of(array: str, number: int) -> str:
    """The name of a task within its submission."""
    return f"{array}-{number}"


def note(folder: Path, task: str, **what: Any) -> None:
    """Appends a line about a task."""
    path = folder / FOLDER / task
    path.parent.mkdir(exist_ok=True)
    ids = {key: os.environ.get(key) for key in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT")}
    line = json.dumps({**what, **ids, "host": socket.gethostname(), "when": time.time()}) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


def notes(folder: Path, task: str) -> list[dict[str, Any]]:
    """The lines about a task, oldest first; half a line of a killed process is passed over."""
    try:
        text = (folder / FOLDER / task).read_text(encoding="utf-8")
    except OSError:
        return []
    entries = []
    for line in text.splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


def begun(folder: Path) -> set[str]:
    """The tasks of a submission that have begun at least once."""
    try:
        return {path.name for path in (folder / FOLDER).iterdir()}
    except OSError:
        return set()


def progress(study: StudyFolder, cells: Iterable[str]) -> dict[str, str]:
    """How far cells are: changes with every new checkpoint, record and failure."""
    how_far = {}
    for cell in cells:
        folder = study.cell(cell)
        try:
            with folder.checkpoint.open("rb") as file:
                how_far[cell] = file.read(64).decode(errors="replace")  # its checksum
        except OSError:
            state, attempts = folder.status().version
            how_far[cell] = f"{state} {attempts}"
    return how_far


def stands_still(folder: Path, task: str) -> bool:
    """Whether the last two attempts ended at the time limit without any progress."""
    last = notes(folder, task)[-4:]
    at_limit = [line.get("what") for line in last] == 2 * ["began", "limit"]
    return at_limit and not any(line.get("progress") for line in last[1::2])
