"""What is wrong with a record that was edited, cut off or made by another version. No torch."""

from __future__ import annotations

import math
from typing import Any

from runners.system.canonical import SCHEMA, sha256_of

MOST_SECONDS = 1e12


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
    body = {key: value for key, value in record.items() if key != "record_sha256"}
    try:
        digest = sha256_of(body)
    except (ValueError, RecursionError):  # NaN, or nested without end
        digest = None
    if digest is None or record.get("record_sha256") != digest:
        return "does not match its checksum: it was changed after it was written"
    lacking = [name for name, value in required_fields(record).items() if value is None]
    if lacking:
        return f"has no sensible {', '.join(lacking)}, which every record has"
    # The label in a folder's name may change, the digits of the key behind it do not.
    if record["key"][:8] != folder.rpartition("__")[2]:
        return f"is the record of another cell, whose key begins with {record['key'][:8]!r}"
    return None


def required_fields(record: dict[str, Any]) -> dict[str, Any]:
    """What runs need of a record: key, fingerprint, seconds, accuracy; None for what is not there.

    The accuracy is that of the last epoch, on the test or the development set.
    """
    last = _at(record, "accuracy", "last")
    accuracy = last.get("test", last.get("dev")) if isinstance(last, dict) else None
    return {
        "key": _text(_at(record, "key")),
        "fingerprint": _text(_at(record, "provenance", "fingerprint")),
        "seconds": _number(_at(record, "timing", "total_s"), MOST_SECONDS),
        "accuracy": _number(accuracy, 1.0),
    }


def warnings(record: dict[str, Any]) -> str:
    """What a record warns of, on one line."""
    found = _at(record, "provenance", "warnings")
    texts = found if isinstance(found, list) else []
    return "; ".join(text for text in texts if isinstance(text, str))


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any, most: float) -> float | None:
    sensible = type(value) in (int, float) and math.isfinite(value) and 0 <= value <= most
    return float(value) if sensible else None
