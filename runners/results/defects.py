"""What is wrong with a record that was edited, cut off or made by another version. No torch."""

from __future__ import annotations

from typing import Any

from runners.results.record_model import Record, problem
from runners.system.canonical import SCHEMA, sha256_of


def find_defect(record: Any, folder: str) -> str | None:
    """What is wrong with a record, as the end of a sentence; None if it is as it was written.

    Args:
        record: as read, whatever it may be.
        folder: name of the cell's folder, which ends in the first digits of the key.
    """
    if not isinstance(record, dict):
        return "cannot be read: it is no whole JSON document"
    schema = record.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        shown = repr(schema)[:20] if isinstance(schema, int | float | str) else "of another kind"
        return f"has schema {shown}; this version of the suite reads {SCHEMA}"
    if not is_intact(record):
        return "does not match its checksum: it was changed after it was written"
    if wrong := problem(Record, record):
        return f"is not as records are: {wrong}"
    # The label in a folder's name may change, the digits of the key behind it do not.
    if record["key"][:8] != folder.rpartition("__")[2]:
        return f"is the record of another cell, whose key begins with {record['key'][:8]!r}"
    return None


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
