"""What is wrong with a record that was edited, cut off or made by another version. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from runners.results.record_model import Record, problem
from runners.system.canonical import SCHEMA, canonical, sha256_of

_CHECKSUM = ',"record_sha256":"'


class Examined(NamedTuple):
    """A record as it was read.

    Attributes:
        wrong: what is wrong with it, as the end of a sentence; empty if it is as it was written.
        record: its content; None if anything is wrong.
    """

    wrong: str
    record: dict[str, Any] | None = None


def as_text(record: dict[str, Any]) -> str:
    """A record as a file: an entry a line in canonical order, then its checksum.

    Without its ends of lines the text is the canonical one, so that it can be compared with its
    checksum as it stands, which ten thousand cells feel.
    """
    lines = ",\n".join(f"{json.dumps(name)}:{canonical(record[name])}" for name in sorted(record))
    return f'{{\n{lines}\n,"record_sha256":"{sha256_of(record)}"\n}}\n'


def examine(text: str | None, folder: str, entries: Sequence[str] = ()) -> Examined:
    """Reads a record and looks for what is wrong with it.

    Args:
        text: of the file; None if it is not there or cannot be read.
        folder: name of the cell's folder, which ends in the first digits of the key.
        entries: the only ones to parse of a record that is as it was written, "schema" and "key"
            among them; by default all.
    """
    as_written = text is not None and _is_as_written(text)
    try:
        record = None if text is None else json.loads(_only(text, entries) if as_written else text)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return Examined("cannot be read: it is no whole JSON document")
    schema = record.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        shown = repr(schema)[:20] if isinstance(schema, int | float | str) else "of another kind"
        return Examined(f"has schema {shown}; this version of the suite reads {SCHEMA}")
    if not as_written:  # else it was validated before it was written
        if not is_intact(record):
            return Examined("does not match its checksum: it was changed after it was written")
        if wrong := problem(Record, record):
            return Examined(f"is not as records are: {wrong}")
    # The label in a folder's name may change, the digits of the key behind it do not.
    if record["key"][:8] != folder.rpartition("__")[2]:
        key = record["key"][:8]
        return Examined(f"is the record of another cell, whose key begins with {key!r}")
    return Examined("", record)


def _is_as_written(text: str) -> bool:
    """Whether the text of a file is one that `as_text` makes, with its checksum."""
    content, _, digest = text.replace("\n", "").rpartition(_CHECKSUM)
    return hashlib.sha256(f"{content}}}".encode()).hexdigest() + '"}' == digest


def _only(text: str, entries: Sequence[str]) -> str:
    """A record's text with these entries alone; all of it where one has no line of its own."""
    heads = tuple(f"{json.dumps(name)}:" for name in entries)
    lines = [line.rstrip(",") for line in text.split("\n") if line.startswith(heads)]
    return f"{{{','.join(lines)}}}" if lines and len(lines) == len(entries) else text


def is_intact(record: dict[str, Any]) -> bool:
    """Whether a record has the checksum of its content; a packed one has its epochs beside it."""
    left_out = ("epochs", "record_sha256")
    content = {name: value for name, value in record.items() if name not in left_out}
    try:
        return record.get("record_sha256") == sha256_of(content)
    except (ValueError, RecursionError):  # NaN, or nested without end
        return False


def is_of_record(epochs: Any, record: dict[str, Any]) -> bool:
    """Whether the lines of `epochs.jsonl` have the checksum that the record gives for them."""
    try:
        return record.get("epochs_sha256") == sha256_of(epochs)
    except (ValueError, RecursionError):
        return False
