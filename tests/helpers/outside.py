"""The study of the examples, some keys of it changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.results.provenance import ROOT
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells
from runners.system.errors import ConfigError


def grid(**changes: Any) -> list[Cell]:
    """The cells of the example, some keys of it changed."""
    study = load_study(
        ROOT / "examples" / "outside.yaml", [f"{k}={json.dumps(v)}" for k, v in changes.items()]
    )
    return cells(study)


def problems(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        grid(**changes)
    return caught.value.problems
