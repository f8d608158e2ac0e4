"""Read a study folder: the cells its study file names, their records, and what is wrong with them.

A study is live (`study.json` and `cells/<name>/{record.json, epochs.jsonl}`) or packed
(`study.json` and `records.jsonl`, one cell a line with its epochs inside).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis import study_files
from runners.results import provenance
from runners.results.defects import is_intact, is_of_record
from runners.results.places import data_of_study, stamp_today
from runners.results.record_model import Epoch, Record, problem
from runners.system.canonical import SCHEMA
from runners.system.console import counted
from runners.system.names import RESERVED

Fingerprint = Callable[[Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Study:
    """A study and the finished cells that belong to it.

    Attributes:
        name: the study's name.
        folder: where it lies.
        packed: whether it is the committed form.
        config: the resolved study file.
        cells: the planned cells in the order of the grid, as the study file lists them.
        records: finished cells by key; damaged ones and those of other cells are not here.
        stale: keys of finished cells that ran under other code.
        damaged: names of cells whose record fails its checksum or cannot be read.
        other_schema: names of cells whose record is of another schema, so of unknown meaning.
        others: number of cell folders (packed: lines) that the study file does not name.
        sources: where the planned cells lie that have left anything there, by key.
        without_curves: names of finished cells whose epochs cannot be read; filled by `epochs`.
    """

    name: str
    folder: Path
    packed: bool
    config: dict[str, Any]
    cells: list[dict[str, Any]]
    records: dict[str, dict[str, Any]]
    stale: frozenset[str]
    damaged: list[str]
    other_schema: list[str]
    others: int
    sources: dict[str, Path] = field(repr=False)
    without_curves: list[str] = field(default_factory=list)
    _epochs: dict[str, Callable[[], Any]] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def planned(self) -> dict[str, str]:
        """Name of each planned cell by key."""
        return {cell["key"]: cell["name"] for cell in self.cells}

    @functools.cached_property
    def unusable(self) -> dict[str, str]:
        """What is wrong with a record, by the name of its cell."""
        damaged = dict.fromkeys(self.damaged, "damaged")
        return dict.fromkeys(self.other_schema, "of another schema") | damaged

    @functools.cached_property
    def outdated(self) -> frozenset[str]:
        """Keys of finished cells of other data or label files than today's.

        As far as files of one's own can be asked without decoding images.
        """
        found, today = set(), {}
        for cell in () if self.packed else self.cells:
            record = self.records.get(cell["key"])
            stamp = record["provenance"].get("data_stamp") if record else ""
            setting = cell["dataset"], cell["noise_slug"], cell["protocol"].get("network")
            if stamp and setting not in today:
                today[setting] = stamp_today(self.folder, cell)
            if stamp and today[setting] not in (None, stamp):
                found.add(cell["key"])
        return frozenset(found)

    @functools.cached_property
    def unread(self) -> list[str]:
        """Own data sets whose files have changed since they were last read."""
        labels = [] if self.packed else dict.fromkeys(cell["dataset"] for cell in self.cells)
        return [label for label in labels if not data_of_study(self.folder, label).is_read]

    def epochs(self, cell: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The epoch lines of a finished cell; empty (and noted) where they are not as written."""
        try:
            lines = self._epochs[cell["key"]]()
        except (OSError, ValueError, RecursionError):
            lines = []
        if not isinstance(lines, list) or any(problem(Epoch, line) for line in lines):
            lines = []
        if not is_of_record(lines, self.records[cell["key"]]):
            lines = []
        if not lines and cell["name"] not in self.without_curves:
            self.without_curves.append(cell["name"])
        return lines

    def sentences(self) -> list[str]:
        """What a reader of any table or figure of this study should know, one sentence each."""
        said = []
        if not self.records:
            said.append(f"Study {self.name}: no cell of {len(self.cells)} is finished yet.")
        elif len(self.records) < len(self.cells):
            said.append(
                f"Study {self.name}: {len(self.records)} of its {counted(len(self.cells), 'cell')} "
                f"{'counts' if len(self.records) == 1 else 'count'}."
            )
        if self.damaged:
            said.append(
                f"Not counted because the record is damaged (unreadable or wrong checksum): "
                f"{_some(self.damaged)}."
            )
        if self.other_schema:
            said.append(
                f"Not counted because of another schema than {SCHEMA}: {_some(self.other_schema)}."
            )
        if self.without_curves:
            said.append(
                f"Without learning curves (epochs unreadable or not as written): "
                f"{_some(self.without_curves)}."
            )
        if self.stale:
            said.append(
                f"{len(self.stale)} of the counted cells "
                f"{'is' if len(self.stale) == 1 else 'are'} stale (run under other code)."
            )
        if self.others:
            kind = "line" if self.packed else "cell folder"
            said.append(
                f"{self.folder} also holds {self.others} other {kind}{'s' * (self.others != 1)} "
                f"that the study file does not name; left out."
            )
        return said


def _some(names: list[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def find(results: Path) -> list[Path]:
    """Study folders directly under a results folder, sorted; never reference, speed or tuning."""
    return sorted(
        path.parent for path in results.glob("*/study.json") if path.parent.name not in RESERVED
    )


def current_fingerprint(record: Mapping[str, Any]) -> str | None:
    """Fingerprint that the code of a record's cell has now; None where that code is gone."""
    return _fingerprint(tuple(record["provenance"].get("sources", ())))


@functools.cache
def _fingerprint(sources: tuple[str, ...]) -> str | None:
    try:
        if not all((provenance.ROOT / source).exists() for source in sources):
            return None
        return provenance.fingerprint(sources)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def load(folder: Path, fingerprint: Fingerprint = current_fingerprint) -> Study:
    """Read a live or packed study folder.

    Args:
        folder: holds `study.json`.
        fingerprint: of a record, what the code of its cell is now; in a live study a record that
            names another is stale. A packed study is judged by its own study file.

    Raises:
        UserError: no study file, or one that cannot be read.
    """
    head = study_files.study_file(folder)
    cells = {cell["key"]: cell for cell in head["cells"]}
    packed = study_files.is_packed(folder)
    read = study_files.packed_lines if packed else study_files.cell_folders
    records, damaged, other_schema, sources, epochs, others = {}, [], [], {}, {}, 0
    for key, source, name, record, lines in read(folder, cells):
        if key in cells:
            sources.setdefault(key, source)
        if record is None:
            damaged.append(name)
        elif record.get("schema", SCHEMA) != SCHEMA:
            other_schema.append(name)  # before all else: key and checksum may mean other things
        elif key not in cells:
            others += 1
        elif record and (record.get("key") != key or not _is_sound(record)):
            damaged.append(name)
        elif record:
            records[key], sources[key], epochs[key] = record, source, lines
    now = {k: cells[k].get("fingerprint") if packed else fingerprint(r) for k, r in records.items()}
    stale = frozenset(k for k, r in records.items() if r["provenance"]["fingerprint"] != now[k])
    return Study(
        head["study"], folder, packed, head["config"], head["cells"], records,
        stale, damaged, other_schema, others, sources, _epochs=epochs,
    )  # fmt: skip


def _is_sound(record: dict[str, Any]) -> bool:
    return is_intact(record) and problem(Record, record) is None
