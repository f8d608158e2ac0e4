"""What lies on disk of a study: folders, atomic writes, records and states.

`results/<study>/study.json` names the grid; `cells/<cell>/` holds `record.json` or `failed.json`,
`epochs.jsonl`, `samples.npz` and `log.txt`; `noise/` the realised labels; `warmups/` the states at
the end of warm-ups that methods share.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

SCHEMA = 1
"""Version of the formats of records, `study.json` and `failed.json`."""


class State(enum.StrEnum):
    """What the files say of a cell."""

    MISSING = "missing"
    FAILED = "failed"
    DONE = "done"
    STALE = "stale"
    DAMAGED = "damaged"


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def write_atomically(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Creates or replaces a file in one step: readers see the old one or the whole new one.

    Raises:
        OSError: the folder cannot be written or the disk is full; the old file still stands.
    """
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes a value atomically as indented JSON."""
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any | None:
    """The value in a JSON file; None if there is no such file or it is not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


class CellFolder:
    """The files of one cell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record, self.failed = path / "record.json", path / "failed.json"
        self.epochs, self.samples = path / "epochs.jsonl", path / "samples.npz"
        self.log = path / "log.txt"

    def write_record(self, record: dict[str, Any]) -> None:
        """Adds the checksum and writes the record; from then on the cell is done."""
        write_json(self.record, {**record, "record_sha256": sha256_of(record)})
        self.failed.unlink(missing_ok=True)

    def write_failure(self, reason: str, details: str, attempts: int) -> None:
        failure = {"schema": SCHEMA, "reason": reason, "details": details, "attempts": attempts}
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.failed, failure)

    def attempts(self) -> int:
        """How often the cell has failed so far."""
        return (read_json(self.failed) or {}).get("attempts", 0)

    def read_record(self) -> dict[str, Any] | None:
        """The record, or None where it is missing or does not match its checksum."""
        record = read_json(self.record)
        if not isinstance(record, dict):
            return None
        body = {key: value for key, value in record.items() if key != "record_sha256"}
        return record if record.get("record_sha256") == sha256_of(body) else None

    def state(self, fingerprint: str | None = None) -> State:
        """The cell's state; `fingerprint` of today's code tells done from stale."""
        if self.record.exists():
            record = self.read_record()
            if record is None:
                return State.DAMAGED
            made_by = record["provenance"]["fingerprint"]
            return State.DONE if fingerprint in (None, made_by) else State.STALE
        return State.FAILED if self.failed.exists() else State.MISSING


class StudyFolder:
    """The files of one study under the results folder."""

    def __init__(self, results: Path, study: str) -> None:
        self.path = results / study
        self.cells, self.noise = self.path / "cells", self.path / "noise"
        self.warmups = self.path / "warmups"
        self.study = self.path / "study.json"

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
