"""The files of a study folder: its study file, and what lies there of each cell, unchecked."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from runners.results.record_model import StudyJson, problem
from runners.system.canonical import SCHEMA
from runners.system.errors import UserError

EPOCHS = b',"epochs":['
"""How the last entry of a packed line begins: what lies behind it is parsed only when asked for."""


class Found(NamedTuple):
    """What lies there of one cell.

    Attributes:
        key: of the planned cell, or None.
        source: where it lies.
        name: for a reader.
        record: None if unreadable, empty if none is there.
        epochs: reads the lines of its epochs, whatever they are.

            Raises OSError, ValueError or RecursionError.
    """

    key: str | None
    source: Path
    name: str
    record: dict[str, Any] | None
    epochs: Callable[[], Any]


def study_file(folder: Path) -> dict[str, Any]:
    """The content of `study.json`.

    Raises:
        UserError: there is none, or it is not of this version.
    """
    path = folder / "study.json"
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(
            f"{folder} is no study folder: it has no readable study.json (if it is one: python "
            "runners/run_grid.py STUDY.yaml writes it again)"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON ({error})") from None
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise UserError(f"{path} is no study file of schema {SCHEMA}")
    if wrong := problem(StudyJson, head):
        raise UserError(f"{path}: {wrong}")
    return head


def is_packed(folder: Path) -> bool:
    """Whether a study folder is of the committed form."""
    return (folder / "records.jsonl").is_file() and not (folder / "cells").is_dir()


def packed_lines(folder: Path, cells: Mapping[str, Any]) -> Iterator[Found]:
    """What a packed study holds, a line a cell.

    Args:
        folder: of the study.
        cells: the planned ones by key.
    """
    path, offset = folder / "records.jsonl", 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = line.rfind(EPOCHS)
            start, end = offset + place + len(EPOCHS) - 1, offset + len(line.rstrip()) - 1
            offset += len(line)
            record = _parse(line[:place] + b"}") if place >= 0 else None
            epochs = functools.partial(_part, path, start, end)
            if record is None:  # not as the suite packs it
                record = _parse(line)
                epochs = functools.partial(_given, (record or {}).pop("epochs", []))
            key = record.get("key") if record else None
            key = key if isinstance(key, str) else None
            name = cells[key]["name"] if key in cells else f"{path.name} line {number}"
            yield Found(key, path, name, record, epochs)


def _given(lines: Any) -> Any:
    return lines


def _part(path: Path, start: int, end: int) -> Any:
    with path.open("rb") as file:
        file.seek(start)
        return json.loads(file.read(end - start))


def cell_folders(folder: Path, cells: Mapping[str, dict[str, Any]]) -> Iterator[Found]:
    """What a live study holds, a folder a cell; arguments as of `packed_lines`.

    A label may change in the study file, the key in a folder's last eight digits does not.
    """
    names = {cell["name"]: key for key, cell in cells.items()}
    digits = {key[:8]: key for key in cells}
    for path in sorted(folder.glob("cells/*/")):
        key = names.get(path.name)
        relabelled = digits.get(path.name.rpartition("__")[2])
        if not key and relabelled and not (path.parent / cells[relabelled]["name"]).is_dir():
            key = relabelled
        file = path / "record.json"
        record = _parse(file.read_bytes()) if key and file.is_file() else {}
        yield Found(key, path, path.name, record, functools.partial(_lines, path / "epochs.jsonl"))


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(text.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return record if record and isinstance(record, dict) else None
