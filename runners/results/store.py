"""What lies on disk of a study: folders, records, failures, and what they say of a cell.

`results/<study>/study.json` names the grid; `cells/<cell>/` holds `record.json` or `failed.json`,
`epochs.jsonl`, `samples.npz`, `log.txt` and, while it is not finished, `checkpoint.pt`,
`epochs.running.jsonl` and `noise_rate.running.json`: what an earlier run has left stays whole until
the end. `leases/` says who runs what; `noise/` holds the realised labels; `slurm/` what was
submitted.
"""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.results.defects import Examined, as_text, examine
from runners.results.failures import REASON, Failure
from runners.results.leases import Leases
from runners.results.record_model import Record
from runners.system.files import read_json, read_text, sweep, write_json, write_text
from runners.system.names import is_name


class State(enum.StrEnum):
    """What the files say of a cell."""

    MISSING = "missing"
    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    REQUEUED = "requeued"
    LOST = "lost"
    FAILED = "failed"
    DONE = "done"
    STALE = "stale"
    DAMAGED = "damaged"


SENT = (State.QUEUED, State.RUNNING, State.SUSPENDED, State.REQUEUED)
"""States of cells that will end without another command."""


@dataclass(frozen=True)
class CellStatus:
    """What the files of one cell say, leases apart.

    Attributes:
        state: of the files; RUNNING, SUSPENDED, QUEUED, REQUEUED and LOST come from leases and the
            queue.
        note: why it failed or is damaged, or what its record warns of, in one line.
        attempts: attempts that have failed.
        transient: whether the failure may pass by itself.
        seconds, accuracy: of a finished cell, else None.
        stuck: whether it waits in the queue for a person to do something.
    """

    state: State
    note: str = ""
    attempts: int = 0
    transient: bool = False
    seconds: float | None = None
    accuracy: float | None = None
    stuck: bool = False

    @property
    def version(self) -> tuple[State, int]:
        """Changes when anybody has ended the cell in the meantime."""
        return self.state, self.attempts


class _File:
    """A file of a folder, whose path is put together when it is asked for: there are many cells."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: CellFolder, owner: type[CellFolder]) -> Path:
        return folder.path / self.name


OF_STATUS = ("schema", "key", "provenance", "accuracy", "timing")
"""Entries of a record that a status needs; the others of ten thousand cells take a second."""


class CellFolder:
    """The files of one cell."""

    record, failed = _File("record.json"), _File("failed.json")
    epochs, samples = _File("epochs.jsonl"), _File("samples.npz")
    network, log, checkpoint = _File("network.pt"), _File("log.txt"), _File("checkpoint.pt")
    running_epochs = _File("epochs.running.jsonl")
    noise_rate = _File("noise_rate.running.json")

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_record(self, record: dict[str, Any]) -> None:
        """Adds the checksum and writes the record; from then on the cell is done.

        Raises:
            pydantic.ValidationError: it is not what a record must be.
        """
        Record.model_validate(record)
        write_text(self.record, as_text(record))
        self.failed.unlink(missing_ok=True)

    def write_failure(self, failure: Failure, attempts: int) -> None:
        """Notes how the latest of `attempts` attempts failed."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.failed, failure.as_json(attempts, self.log))

    def attempts(self) -> int:
        """How often the cell has failed so far."""
        return _attempts(read_json(self.failed))

    def read_record(self) -> dict[str, Any] | None:
        """The record, or None where it is missing or damaged."""
        return self._examined().record

    def _examined(self, entries: Sequence[str] = ()) -> Examined:
        return examine(read_text(self.record), self.path.name, entries)

    def status(self, fingerprint: str | None = None) -> CellStatus:
        """What the files say; `fingerprint` of today's code and data tells done from stale."""
        if not self.path.exists():
            return CellStatus(State.MISSING)
        wrong, record = self._examined(OF_STATUS)
        if record is None and not self.record.exists():
            if not self.path.is_dir():
                return CellStatus(State.DAMAGED, f"{self.path} is no folder: move it away")
            return self.unfinished()
        if record is None:
            return CellStatus(State.DAMAGED, f"{self.record} {wrong}", self.attempts())
        provenance, last = record["provenance"], record["accuracy"]["last"]
        told = {
            "note": "; ".join(provenance.get("warnings", ())),
            "seconds": record["timing"]["total_s"],
            "accuracy": last["test"] if last.get("test") is not None else last["dev"],
        }
        if fingerprint is None or _is_of(fingerprint, provenance):
            return CellStatus(State.DONE, **told)
        return CellStatus(State.STALE, attempts=self.attempts(), **told)

    def unfinished(self) -> CellStatus:
        """What `failed.json` says, whether or not there is a record."""
        failed = read_json(self.failed)
        if not isinstance(failed, dict):
            return CellStatus(State.MISSING)
        reason = failed.get("reason") if isinstance(failed.get("reason"), str) else ""
        words = " ".join(reason[:REASON].split())
        printable = "".join(letter if letter.isprintable() else "?" for letter in words)
        return CellStatus(
            State.FAILED, printable, _attempts(failed), failed.get("transient") is True
        )

    def finished_epochs(self) -> int:
        """Epochs of an attempt that has not ended; those since its checkpoint too."""
        try:
            return self.running_epochs.read_bytes().count(b"\n")
        except OSError:
            return 0


def with_stamp(code: str, stamp: str | None) -> str:
    """A fingerprint of code and data; without the data (None) any will do."""
    return f"{code} {'?' if stamp is None else stamp}".rstrip()


def _is_of(fingerprint: str, provenance: dict[str, Any]) -> bool:
    stamps = (provenance.get("data_stamp", ""), None)
    return fingerprint in [with_stamp(provenance["fingerprint"], stamp) for stamp in stamps]


def _attempts(failed: Any) -> int:
    """How many attempts a `failed.json` counts; 0 where it says nothing sensible."""
    count = failed.get("attempts") if isinstance(failed, dict) else None
    return count if type(count) is int and 0 <= count < 10**6 else 0


class StudyFolder:
    """The files of one study under the results folder.

    `data_root` is where data sets are looked for first, to know whether they have changed.
    """

    def __init__(self, results: Path, study: str, data_root: Path | None = None) -> None:
        self.path, self.data_root = results / study, data_root
        self._listed: tuple[int, dict[str, str]] = (-1, {})
        self.cells, self.noise = self.path / "cells", self.path / "noise"
        self.submissions = self.path / "slurm"
        self.study, self.places = self.path / "study.json", self.path / "places.json"
        self.leases = Leases(self.path / "leases")

    def cell(self, name: str) -> CellFolder:
        """The folder of a cell; of a finished one also where it has the name of a former label.

        What names a result is the key, whose first digits end the name.
        """
        own = CellFolder(self.cells / name)
        former = self._by_digits().get(name.rpartition("__")[2])
        if former in (None, name) or own.path.exists():
            return own
        found = CellFolder(self.cells / former)
        return found if found.record.is_file() else own

    def _by_digits(self) -> dict[str, str]:
        """Digits of a key -> name of its folder, of all folders there are now."""
        with contextlib.suppress(OSError):
            changed = self.cells.stat().st_mtime_ns
            if self._listed[0] != changed:
                names = (entry.name for entry in os.scandir(self.cells))
                self._listed = changed, {name.rpartition("__")[2]: name for name in names}
        return self._listed[1]

    def prepare(self, study: dict[str, Any], places: Mapping[str, Any] | None = None) -> None:
        """Creates the folders and writes `study.json`, and beside it where own data lie.

        Raises:
            OSError: the results folder is not writable.
        """
        self.cells.mkdir(parents=True, exist_ok=True)
        self.noise.mkdir(exist_ok=True)
        write_json(self.study, study)
        write_json(self.places, dict(places or {}))

    def finished_beside(self, keys: set[str]) -> int:
        """How many finished cells the study file of now names whose keys are none of these."""
        before = read_json(self.study)
        listed = before.get("cells") if isinstance(before, dict) else None
        cells = listed if isinstance(listed, list) else []
        cells = [cell for cell in cells if isinstance(cell, dict)]
        others = [str(cell.get("name")) for cell in cells if cell.get("key") not in keys]
        return sum(self.cell(name).record.is_file() for name in others if is_name(name))

    def sweep(self, cells: Iterable[str]) -> None:
        """Removes temporary files that killed processes have left in the study and these cells.

        Those of cells that nobody runs are all left over, also where their writer was another
        machine's, of which nobody can tell from here whether it lives.
        """
        for folder in (self.path, self.noise, *self.submissions.glob("*/")):
            sweep(folder)
        for name in cells:
            if not sweep(self.cells / name):
                continue
            with contextlib.suppress(OSError):  # a full disk takes no lease
                if lease := self.leases.take(name):
                    with lease:
                        sweep(self.cells / name, exclusive=True)
