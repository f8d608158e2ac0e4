"""What the local pool makes of a machine: `python runners/benchmark_grid.py`.

Runs one small grid, in interleaved rounds, with one worker of one thread, with two workers of one
thread, and with one worker of two threads (on a GPU: with one, two, four and eight workers), and
prints cells an hour, start-up included, and the ratios between them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import torch

from runners.cell.hardware import device_name
from runners.cell.run_context import RunContext
from runners.pool.job_queue import JobQueue
from runners.pool.messages import Failed, Message
from runners.pool.pool import run_in_pool
from runners.results.plan import make_plan
from runners.results.store import StudyFolder
from runners.speed.speed_files import JSON_HELP, write_rows
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells, study_json

STUDY = ROOT / "benchmark.yaml"
WAYS = {
    "cpu": {
        "1 worker x 1 thread": (1, 1),
        "2 workers x 1 thread": (2, 1),
        "1 worker x 2 threads": (1, 2),
    },
    "cuda": {
        "1 worker": (1, 1),
        "2 workers": (2, 1),
        "4 workers": (4, 1),
        "8 workers": (8, 1),
    },
}
"""Device -> way of running -> (workers, threads of each)."""


def grid(seeds: int, epochs: int, more: Sequence[str]) -> tuple[list[Cell], dict]:
    """Cells of similar length out of the default study, and their `study.json`."""
    overrides = [
        "study=speed-of-the-pool",
        "axes.noise=[{name: symmetric, rate: 0.4}]",
        "axes.method=[cross_entropy, gce]",
        f"axes.seed={seeds}",
        f"protocol.epochs={epochs}",
        *more,
    ]
    study = load_study(STUDY, overrides)
    grid = cells(study)
    return grid, study_json(study, grid)


def seconds(chosen: list[Cell], document: dict, device: str, workers: int, threads: int) -> float:
    """Wall time of all cells in a fresh results folder."""
    with tempfile.TemporaryDirectory() as folder:
        study = StudyFolder(Path(folder), "speed")
        study.prepare(document)
        began = time.perf_counter()
        context = RunContext(study, threads=threads)
        jobs = make_plan(chosen, study).jobs(lambda status: True)
        run_in_pool(JobQueue(jobs, study), context, [device] * workers, _refuse_failures)
        return time.perf_counter() - began


def _refuse_failures(message: Message) -> None:
    if isinstance(message, Failed):
        raise RuntimeError(f"{message.name}: {message.failure.reason}")


def _times(taken: list[float], other: list[float]) -> float:
    """How many times the cells of another way: the median of the ratios of common rounds."""
    return round(statistics.median(b / a for a, b in zip(taken, other, strict=False)), 3)


def rows_of(times: dict[str, list[float]], count: int, more: Sequence[str]) -> list[dict[str, Any]]:
    """Cells an hour of every way that was measured, and ratios to the first and last of them.

    Args:
        times: way -> wall seconds of `count` cells, one entry a round.
        more: what was changed in the study.
    """
    ways = list(times)
    return [
        {
            "way": way,
            "set": list(more),
            "cells_per_hour": round(3600 * count / statistics.median(taken), 1),
            "min_s": round(min(taken), 2),
            "median_s": round(statistics.median(taken), 2),
            "times_the_first": _times(taken, times[ways[0]]),
            "times_the_last": _times(taken, times[ways[-1]]),
        }
        for way, taken in times.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all ways (default 5)")
    parser.add_argument("--seeds", type=int, default=6, help="cells are twice as many (default 6)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs a cell (default 3)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="more")
    parser.add_argument("--device", choices=WAYS, default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help=JSON_HELP)
    options = parser.parse_args()
    chosen, document = grid(options.seeds, options.epochs, options.more)
    ways, device = WAYS[options.device], {"cpu": "cpu", "cuda": "cuda:0"}[options.device]
    name = f"{device_name(torch.device(options.device))}-pool"
    times: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for way, how in ways.items():
            taken = seconds(chosen, document, device, *how)
            times.setdefault(way, []).append(taken)
            if options.json:  # what is measured stays if the rest is cut off
                write_rows(options.json, name, rows_of(times, len(chosen), options.more))
    rows = rows_of(times, len(chosen), options.more)
    for row in rows:
        print(
            f"{row['way']:<22} {row['cells_per_hour']:>8} cells/h  {row['median_s']:>7} s  "
            f"{row['times_the_first']:.2f} times the first, {row['times_the_last']:.2f} the last"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
