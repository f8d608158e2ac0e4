"""Finished studies to be compared, changes to them, and the command that compares."""

from __future__ import annotations

import contextlib
import io
import json
import math
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runners.system.canonical import sha256_of
from tests.helpers.records import SYMMETRIC, cell, epoch_lines, record, write_study

SCRIPT = Path(__file__).resolve().parents[2] / "analysis" / "compare_runs.py"
CELLS = [cell("gce", SYMMETRIC, seed) for seed in range(3)]
FIRST, SECOND, THIRD = (planned["name"] for planned in CELLS)
ORIGIN = {
    "git_sha": "1" * 40,
    "fingerprint": "code-of-today",
    "packages": {"torch": "2.11.0", "numpy": "2.3.0"},
    "torch_threads": 1,
    "device": "cpu",
    "processor": "a CPU, AVX2",
    "data_sha256": "d" * 64,
    "split_sha256": "5" * 64,
    "attempts": 1,
}


def origin(**changes: Any) -> dict[str, Any]:
    return {"provenance": ORIGIN | changes}


def study(
    folder: Path, cells: list[dict[str, Any]] = CELLS, *, packed: bool = False, **changes: Any
) -> Path:
    """A finished study with curves and, in the live form, samples; `changes` are of all records."""
    changes = origin() | {"timing": {"total_s": 1.0}, "peak_memory_mb": 800.0} | changes
    made = [record(planned, 0.8, 0.81, **changes) for planned in cells]
    epochs = {planned["key"]: epoch_lines(planned, 0.8, 0.81) for planned in cells}
    write_study(folder, cells, made, epochs, packed=packed)
    for place in folder.glob("cells/*"):
        write_samples(place / "samples.npz")
    return folder


def write_samples(path: Path, **changes: Any) -> None:
    arrays = {
        "index": np.arange(4),
        "prediction": np.array([0, 1, 2, 1], np.int16),
        "given_probability": np.array([0.5, math.nan, 0.25, 1.0], np.float32),
    }
    np.savez_compressed(path, **{k: v for k, v in (arrays | changes).items() if v is not None})


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change one record of a live study and give it its new checksum."""
    path = folder / "cells" / name / "record.json"
    made = json.loads(path.read_text(encoding="utf-8"))
    change(made)
    made.pop("record_sha256", None)
    path.write_text(json.dumps(made | {"record_sha256": sha256_of(made)}), encoding="utf-8")


def edit_epoch(folder: Path, name: str, row: int, change: Callable[[dict[str, Any]], object]):
    path = folder / "cells" / name / "epochs.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(lines[row])
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    edit(folder, name, lambda record: record.update(epochs_sha256=sha256_of(lines)))


def compare(a: Path, b: Path) -> tuple[int, list[str]]:
    """Exit code and the lines that were printed; mistakes are printed to stderr, all else not.

    The script runs in this process, which saves the start of an interpreter each time.
    """
    out, err, before = io.StringIO(), io.StringIO(), (sys.argv, sys.path)
    sys.argv, sys.path = [str(SCRIPT), str(a), str(b)], [str(SCRIPT.parent), *sys.path]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_path(str(SCRIPT), run_name="__main__")
        raise AssertionError("the command ended without an exit code")
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv, sys.path = before
    assert bool(err.getvalue()) == (code == 2), err.getvalue()
    return code, (err.getvalue() or out.getvalue()).splitlines()
