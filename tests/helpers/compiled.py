"""Training with `protocol.compile`, for the tests on the CPU and on a GPU."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from tests.helpers.cells import make_cell, ready

COMPILER = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
HEADER = Path(sysconfig.get_path("include"), "Python.h")

needs_compiler = pytest.mark.skipif(
    shutil.which(COMPILER) is None or not HEADER.is_file(),
    reason=f"torch.compile needs {COMPILER} and Python.h, which are not both here",
)


def plain_and_compiled(name: str, device: torch.device) -> list[list[dict]]:
    """What a method logs in each of two epochs, by plain networks and by compiled ones."""
    torch.compiler.reset()  # nothing is left of other tests, in particular no count of recompiles
    counters.clear()
    cells = [make_cell(name, epochs=2, batch_size=64, compile=wanted) for wanted in (False, True)]
    histories = [ready(cell, device=device).train() for cell in cells]
    assert counters["stats"]["unique_graphs"] > 0, "nothing was compiled"
    return [[entry["train"] for entry in history] for history in histories]
