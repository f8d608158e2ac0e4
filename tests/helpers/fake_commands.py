"""Commands that play SLURM's: small scripts on PATH that note how they were called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """#!{python}
import json, os, sys
call = {{
    "arguments": sys.argv[1:],
    "input": sys.stdin.read(),
    "variables": [name for name in os.environ if name.startswith(("S", "PATH"))],
}}
with open({calls!r}, "a") as file:
    file.write(json.dumps(call) + "\\n")
sys.stdout.write({out!r})
sys.stderr.write({err!r})
{more}
sys.exit({code})
"""


class Commands:
    """A folder of such commands, the only one on PATH."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.calls_file = folder / "bin", folder / "calls.jsonl"
        self.folder.mkdir()
        patch.setenv("PATH", str(self.folder))

    def make(self, name: str, out: str = "", err: str = "", code: int = 0, more: str = "") -> None:
        """A command that prints this and ends with that code; `more` is Python before its end."""
        text = SCRIPT.format(
            python=sys.executable,
            calls=str(self.calls_file),
            out=out,
            err=err,
            code=code,
            more=more,
        )
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def calls(self) -> list[dict[str, Any]]:
        """Every call so far: its arguments, its input and the names of variables."""
        if not self.calls_file.exists():
            return []
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]
