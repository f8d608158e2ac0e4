"""The parts of `runners/gpu_check.py`: what is run, in the order of its worth, and in which files.

On the CPU each part is so small that it shows only that its commands run.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import datasets
from datasets.base import DataError
from runners.results.provenance import ROOT
from runners.speed.parts import Part
from runners.study.config import load_study
from runners.study.grid import cells

CELLS_PER_GPU = 4
SHARES = {"tests": 0.22, "steps": 0.28, "epoch": 0.08, "pool": 0.2, "cells": 0.22}
"""Part -> its weight in the division of the time."""
SLICES = "cifar10_slices"
"""Name of the study whose cells are run, and of its packed records in `results/reference`."""
ON_GPU = {
    "study": SLICES,
    "axes.dataset": "[cifar10_jpeg]",
    "axes.seed": "1",
    "run.cells_per_gpu": str(CELLS_PER_GPU),
}
ON_CPU = {
    "study": "cifar10_tiny",
    "axes.dataset": "[simulated]",
    "axes.noise": "[{name: symmetric, rate: 0.4}]",
    "axes.method": "[cross_entropy, metalabelnet]",
    "axes.seed": "1",
    "protocol.network": "small_cnn",
    "protocol.epochs": "1",
    "protocol.augment": "none",
    "protocol.clean_subset": "32",
}


def gpu_parts(out: Path, device: str, data: Path | None) -> list[Part]:
    """All parts, in order.

    Args:
        out: folder of their files; what they need between two calls lies beside it.
        device: "cuda" or "cpu".
        data: root of the data sets; None: that of DATA_ROOT, if any.
    """
    work = Path(f"{out}.work")
    return [
        Part("tests", SHARES["tests"], [_tests(device)], out / "tests.txt"),
        Part("steps", SHARES["steps"], [_steps(out, device)], work / "steps.txt"),
        Part("epoch", SHARES["epoch"], [_epoch(out, device)], work / "epoch.txt"),
        Part("pool", SHARES["pool"], [_pool(out, device)], work / "pool.txt"),
        _cells(out, work, device, data),
    ]


def _python(script: str, *words: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / script), *map(str, words)]


def _tests(device: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu"]
    if device == "cuda" and importlib.util.find_spec("xdist"):
        command += ["-n", "4"]
    return [*command, str(ROOT / "tests" / "cell" / "test_gpu.py")]


def _steps(out: Path, device: str) -> list[str]:
    small = "--methods cross_entropy metalabelnet --networks small_cnn --precisions float32 "
    small += "--batches 16 --steps 1"
    less = small.split() if device == "cpu" else []
    where = ("--device", device, "--json", out / "steps.json")
    return _python("runners/benchmark_matrix.py", *where, *less)


def _epoch(out: Path, device: str) -> list[str]:
    less = "--rounds 2"
    if device == "cpu":
        less = "--rounds 1 --networks small_cnn --share 0.02"
    where = ("--device", device, "--json", out / "epoch.json")
    return _python("runners/benchmark_epoch.py", *where, *less.split())


def _pool(out: Path, device: str) -> list[str]:
    changed = "--rounds 1 --seeds 4 --epochs 3 --set protocol.network=cnn8"
    if device == "cpu":
        changed = "--rounds 1 --seeds 1 --epochs 1 --set axes.dataset=[simulated]"
        changed += " --set protocol.clean_subset=32"
    where = ("--device", device, "--json", out / "pool.json")
    return _python("runners/benchmark_grid.py", *where, *changed.split())


def _cells(out: Path, work: Path, device: str, data: Path | None) -> Part:
    """Cells setting by setting, from the records that there are to the records that come back."""
    changed = ON_GPU if device == "cuda" else ON_CPU
    packed = [ROOT / "results" / "reference" / changed["study"], out / "cells"]
    commands = [
        _python("analysis/unpack_study.py", folder, "--results", work)
        for folder in packed
        if (folder / "records.jsonl").is_file()
    ]
    overrides = [f"{key}={value}" for key, value in changed.items()]
    study = ROOT / "benchmarks" / "cifar10.yaml"
    grid = cells(load_study(study, overrides))
    run = _python("runners/run_grid.py", study, "--results", work, "--device", device)
    run += [word for override in overrides for word in ("--set", override)]
    run += [] if data is None else ["--data", str(data)]
    noises = dict.fromkeys(cell.noise_slug for cell in grid)
    commands += [[*run, "--only", f"noise={noise}"] for noise in noises]
    pack = _python("analysis/pack_study.py", work / changed["study"], "--out", out / "cells")
    last, missing = [[*run, "--status", "--cells"], pack], _missing(grid[0].dataset, data)
    output = out / "cells" / "left_out.txt" if missing else work / "cells.txt"
    return Part("cells", SHARES["cells"], commands, output, last, missing)


def _missing(dataset: str, data: Path | None) -> str:
    """Why a data set cannot be had; empty if it can."""
    named = data or os.environ.get("DATA_ROOT")
    try:
        datasets.get(dataset).check(Path(named).expanduser() if named else None)
    except DataError as error:
        return str(error)
    return ""


def names() -> Sequence[str]:
    """The names of all parts, in order."""
    return list(SHARES)
