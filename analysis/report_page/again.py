"""How each cell is made again: the study file and the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from analysis.command import ROOT
from analysis.studies import Study

ELSEWHERE = "again"
"""Results folder of a command: in the old one a finished cell is skipped."""


def study_file(study: Study, named: Path | None) -> tuple[str, bool]:
    """What to name on the command line, and whether there is such a file.

    That which the user named, else one of this checkout that says the same, else a file that the
    page offers.
    """
    if named is not None:
        return _from_root(named), True
    for path in sorted([*ROOT.glob("*.yaml"), *ROOT.glob("benchmarks/*.yaml")]):
        if _says_the_same(path, study):
            return _from_root(path), True
    return f"{study.name}.yaml", False


def _from_root(path: Path) -> str:
    whole = path.resolve()
    return str(whole.relative_to(ROOT)) if whole.is_relative_to(ROOT) else str(path)


def _says_the_same(path: Path, study: Study) -> bool:
    """Whether a file has this study's name, axes and protocol, as far as it names them.

    Of data sets, noises and methods only the names are compared.
    """
    try:
        said = YAML(typ="safe", pure=True).load(path)
        if said["study"] != study.name:
            return False
        protocol, ours = said.get("protocol") or {}, study.config.get("protocol") or {}
        asked, axes = said.get("axes") or {}, study.config.get("axes") or {}
        same = all(ours.get(name, value) == value for name, value in protocol.items())
        return same and all(
            _names(of) == _names(axes.get(axis, of)) for axis, of in asked.items() if of is not None
        )
    except (OSError, YAMLError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _names(axis: Any) -> set[Any]:
    """Names of the entries of an axis; sizes and seeds are their own."""
    entries = axis if isinstance(axis, list) else [axis]
    return {entry["name"] if isinstance(entry, dict) else entry for entry in entries}


def start(file: str) -> str:
    """How the command line begins that runs cells again."""
    return shlex.join(["python", "runners/run_grid.py", file])


def only(**values: str) -> str:
    """The words of a command line that choose cells, by axis."""
    words = [word for axis, value in values.items() for word in ("--only", f"{axis}={value}")]
    return shlex.join(words)


def as_file(study: Study) -> str:
    """The resolved study file as text; JSON is YAML."""
    config: dict[str, Any] = {"study": study.name} | study.config
    return json.dumps(config, indent=1, ensure_ascii=False)
