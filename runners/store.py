"""What lies on disk of a study: folders, records, failures, and what they say of a cell.

`results/<study>/study.json` names the grid; `cells/<cell>/` holds `record.json` or `failed.json`,
`epochs.jsonl`, `samples.npz`, `log.txt` and, while it is not finished, `checkpoint.pt`; `leases/`
says who runs what; `noise/` holds the realised labels; `warmups/` the states at the end of warm-ups
that methods share.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.canonical import SCHEMA, sha256_of
from runners.failures import Failure
from runners.files import read_json, sweep, write_json
from runners.leases import Leases


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
class Sight:
    """What the files of one cell say, leases apart.

    Attributes:
        state: of the files; RUNNING, SUSPENDED, QUEUED, REQUEUED and LOST come from leases and the
            queue.
        note: why it failed or is damaged, or what its record warns of, in one line.
        attempts: attempts that have failed.
        transient: whether the failure may pass by itself.
        seconds, accuracy, epochs: of a finished cell, else None.
    """

    state: State
    note: str = ""
    attempts: int = 0
    transient: bool = False
    seconds: float | None = None
    accuracy: float | None = None

    @property
    def mark(self) -> tuple[State, int]:
        """Changes when anybody has ended the cell in the meantime."""
        return self.state, self.attempts


class CellFolder:
    """The files of one cell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record, self.failed = path / "record.json", path / "failed.json"
        self.epochs, self.samples = path / "epochs.jsonl", path / "samples.npz"
        self.log, self.checkpoint = path / "log.txt", path / "checkpoint.pt"

    def write_record(self, record: dict[str, Any]) -> None:
        """Adds the checksum and writes the record; from then on the cell is done."""
        write_json(self.record, {**record, "record_sha256": sha256_of(record)})
        self.failed.unlink(missing_ok=True)

    def write_failure(self, failure: Failure, attempts: int) -> None:
        """Notes how the latest of `attempts` attempts failed."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.failed, failure.as_json(attempts, self.log))

    def attempts(self) -> int:
        """How often the cell has failed so far."""
        failed = read_json(self.failed)
        return failed.get("attempts", 0) if isinstance(failed, dict) else 0

    def read_record(self) -> dict[str, Any] | None:
        """The record, or None where it is missing or does not match its checksum."""
        record = read_json(self.record)
        return record if isinstance(record, dict) and _damage(record) is None else None

    def sight(self, fingerprint: str | None = None) -> Sight:
        """What the files say; `fingerprint` of today's code tells done from stale."""
        record = read_json(self.record)
        if record is None and not self.record.exists():
            return self._unfinished()
        damage = _damage(record)
        if damage is not None:
            return Sight(State.DAMAGED, f"{self.record} {damage}", self.attempts())
        made_by = record["provenance"]["fingerprint"]
        state = State.DONE if fingerprint in (None, made_by) else State.STALE
        last = record.get("accuracy", {}).get("last", {})
        accuracy = last.get("test", last.get("dev"))
        note = "; ".join(record["provenance"].get("warnings", ()))
        return Sight(state, note, seconds=record["timing"]["total_s"], accuracy=accuracy)

    def _unfinished(self) -> Sight:
        failed = read_json(self.failed)
        if not isinstance(failed, dict):
            return Sight(State.MISSING)
        reason, attempts = str(failed.get("reason", "")), failed.get("attempts", 0)
        return Sight(State.FAILED, reason, attempts, bool(failed.get("transient")))

    def finished_epochs(self) -> int:
        """Epochs that `epochs.jsonl` tells of; those of a killed cell since its checkpoint too."""
        try:
            return self.epochs.read_bytes().count(b"\n")
        except OSError:
            return 0


def _damage(record: Any) -> str | None:
    """What is wrong with a record, as the end of a sentence; None if it is as it was written."""
    if not isinstance(record, dict):
        return "cannot be read: it is no whole JSON document"
    if record.get("schema") != SCHEMA:
        return f"has schema {record.get('schema')!r}; this version of the suite reads {SCHEMA}"
    body = {key: value for key, value in record.items() if key != "record_sha256"}
    if record.get("record_sha256") != sha256_of(body):
        return "does not match its checksum: it was changed after it was written"
    return None


class StudyFolder:
    """The files of one study under the results folder."""

    def __init__(self, results: Path, study: str) -> None:
        self.path = results / study
        self.cells, self.noise = self.path / "cells", self.path / "noise"
        self.warmups = self.path / "warmups"
        self.study = self.path / "study.json"
        self.leases = Leases(self.path / "leases")

    def cell(self, name: str) -> CellFolder:
        return CellFolder(self.cells / name)

    def prepare(self, study: dict[str, Any]) -> None:
        """Creates the folders and writes `study.json`.

        Raises:
            OSError: the results folder is not writable.
        """
        self.cells.mkdir(parents=True, exist_ok=True)
        self.noise.mkdir(exist_ok=True)
        write_json(self.study, study)

    def sweep(self) -> None:
        """Removes temporary files that killed processes have left outside of the cells."""
        for folder in (self.path, self.noise, self.warmups):
            sweep(folder)
