"""Where benchmarks of speed leave their rows: `results/speed/<device>.json` and the like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from runners.files import write_json

JSON_HELP = "also write the rows to this .json file, or into this folder under the device's name"


def device_name(device: torch.device) -> str:
    """ "cpu", or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def write_rows(path: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    """Writes rows to a `.json` file; into a folder as `<name>.json`. Returns the file's path."""
    if path.suffix != ".json":
        path = path / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-').lower()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, rows)
    print(f"wrote {path}")
    return path
