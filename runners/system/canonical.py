"""The one text of a value, its checksum, and the version of the formats that hold them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

SCHEMA = 2
"""Version of the formats of records, `study.json` and `failed.json`."""

RESULTS_VERSION = 2
"""Numbers are comparable within one: raised with any bit of a cell of the default study, and
explained in the CHANGELOG."""


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
