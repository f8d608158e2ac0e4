"""What was submitted, written before it is submitted: nothing in the queue is ever unknown.

`<study>/slurm/<time>-<uuid>/manifest.json` says which cells each task of each array runs, under
which job name, and the array's id as soon as sbatch has told it. Whatever happens in between, the
name or the id leads to the job.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from runners.system.files import read_json, write_json

FILE = "manifest.json"
FOLDER = "slurm"
"""Of a study; holds a folder for each submission."""
TIME = "%Y%m%dT%H%M%SZ"
"""Part of a folder's name."""
SUBMITTING = "submission"
"""Name of the lease that one submitting command of a study holds."""


class Sent(enum.StrEnum):
    """How far the submission of an array has come."""

    PLANNED = "planned"
    """Surely not in the queue yet."""
    SENDING = "sending"
    """Perhaps in the queue, which knows it by its name; its id is not noted yet."""
    SUBMITTED = "submitted"
    REFUSED = "refused"
    """sbatch did not take it."""
    NEVER = "never"
    """Given up: its submitter died before, and the queue does not know its name."""


@dataclass(frozen=True)
class Array:
    """One job array, or a plain job where it has one task only.

    Attributes:
        name: the job's name, unlike any other.
        tasks: names of cells by task.
        state: how far it has come.
        noted: since when; a long time SENDING and not in the queue means never submitted.
        id: given by SLURM; None before.
        words: of sbatch, where it refused.
    """

    name: str
    tasks: tuple[tuple[str, ...], ...]
    noted: datetime
    state: Sent = Sent.PLANNED
    id: str | None = None
    words: str = ""

    def task_id(self, number: int) -> str | None:
        """SLURM's id of one task: an array of one is a plain job; None before submission."""
        if self.id is None or len(self.tasks) == 1:
            return self.id
        return f"{self.id}_{number}"


@dataclass(frozen=True)
class Manifest:
    """One submission: what one command sent, or was about to send.

    Attributes:
        created: when it was planned.
        arrays: in the order in which they are sent.
        folder: holds the manifest, and scripts, pickles and logs of the submission.
    """

    created: datetime
    arrays: tuple[Array, ...]
    folder: Path
    schema: Literal[1] = 1

    @property
    def sent(self) -> tuple[Array, ...]:
        """The arrays that SLURM has taken."""
        return tuple(array for array in self.arrays if array.id is not None)

    def tasks(self) -> Iterator[tuple[Array, int, tuple[str, ...]]]:
        """Every task: its array, its number in it and its cells."""
        for array in self.arrays:
            for number, cells in enumerate(array.tasks):
                yield array, number, cells

    def noting(self, name: str, state: Sent, id: str | None = None, words: str = "") -> Manifest:
        """Writes what became of one array and returns the manifest as it is then.

        What another process has noted of other arrays meanwhile is kept.

        Raises:
            OSError: the file cannot be written; the old one still stands.
        """
        now = read(self.folder) or self
        change = {"state": state, "noted": datetime.now(UTC), "id": id, "words": words}
        arrays = tuple(replace(a, **change) if a.name == name else a for a in now.arrays)
        manifest = replace(now, arrays=arrays)
        _write(manifest)
        return manifest


_MANIFEST = TypeAdapter(Manifest)


def plan(study_folder: Path, arrays: Sequence[Sequence[Sequence[str]]]) -> Manifest:
    """Makes the folder of a new submission and writes its manifest, before anything is sent.

    Args:
        study_folder: of the study's results; its name is the study's.
        arrays: names of cells by array and task.

    Raises:
        OSError: the folder cannot be written.
    """
    created, short = datetime.now(UTC), uuid.uuid4().hex[:8]
    folder = study_folder / FOLDER / f"{created.strftime(TIME)}-{short}"
    folder.mkdir(parents=True)
    named = tuple(
        Array(f"{study_folder.name}-{short}-{number}", tuple(map(tuple, tasks)), created)
        for number, tasks in enumerate(arrays)
    )
    manifest = Manifest(created, named, folder)
    _write(manifest)
    return manifest


@dataclass(frozen=True)
class Manifests:
    """All submissions of a study.

    Attributes:
        readable: in the order of their times.
        unreadable: manifests that are not whole, or of another version of the suite. Files are
            written in one step, so that no crash leaves one: somebody or a disk did it.
    """

    readable: tuple[Manifest, ...]
    unreadable: tuple[Path, ...]


def read_all(study_folder: Path) -> Manifests:
    """Reads every submission of a study.

    A folder without a manifest is one whose submitter died before it sent anything: it counts for
    nothing.
    """
    readable, unreadable = [], []
    for path in sorted(study_folder.glob(f"{FOLDER}/*/{FILE}")):
        manifest = read(path.parent)
        if manifest is None:
            unreadable.append(path)
        else:
            readable.append(manifest)
    readable.sort(key=lambda manifest: manifest.created)  # names of folders tell seconds only
    return Manifests(tuple(readable), tuple(unreadable))


def read(folder: Path) -> Manifest | None:
    """The manifest of one submission, or None if it is missing or not readable."""
    try:
        return _MANIFEST.validate_python({**read_json(folder / FILE), "folder": folder})
    except (TypeError, ValidationError):
        return None


def _write(manifest: Manifest) -> None:
    write_json(manifest.folder / FILE, to_jsonable_python(manifest))
