"""Where benchmarks of speed leave their rows: `results/speed/<device>.json` and the like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runners.system.files import read_json, write_json

JSON_HELP = "also write the rows to this .json file, or into this folder under the device's name"


def write_rows(
    path: Path, name: str, rows: list[dict[str, Any]], parts: Sequence[str] = ()
) -> Path:
    """Writes rows to a `.json` file; into a folder as `<name>.json`. Returns the file's path.

    Args:
        parts: fields that split a file's rows into parts, each measured in one run: the file keeps
            its rows of other parts in front of the new ones. Without fields it is replaced.
    """
    if path.suffix != ".json":
        path = path / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-').lower()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    measured = {tuple(row[field] for field in parts) for row in rows}
    content = read_json(path)
    old = [row for row in content if isinstance(row, dict)] if isinstance(content, list) else []
    kept = [row for row in old if tuple(row.get(field) for field in parts) not in measured]
    write_json(path, kept + rows)
    print(f"wrote {path}")
    return path
