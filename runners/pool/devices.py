"""Which devices this machine has for workers. Imports no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from runners.study.schema import Run
from runners.system.errors import UserError


def choose_devices(run: Run) -> list[str]:
    """One device a worker: "cpu" per core, or "cuda:i" for every slot of every GPU.

    Raises:
        UserError: `cuda` is asked for and there is none.
    """
    wanted, workers = run.device, run.workers
    gpus = count_gpus() if wanted in ("auto", "cuda") else 0
    if wanted == "cuda" and gpus == 0:
        raise UserError(
            'run.device: "cuda" is not allowed here, torch sees no GPU: must be auto or cpu'
        )
    slots = [f"cuda:{i}" for _ in range(run.cells_per_gpu) for i in range(gpus)]
    if not slots:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        slots = ["cpu"] * (cores or 1)
    count = len(slots) if workers == "auto" else max(1, workers)
    return [slots[i % len(slots)] for i in range(count)]


def count_gpus() -> int:
    """CUDA devices that torch sees. Asked in a process of its own: planning needs no torch."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    code = "import torch; print(torch.cuda.device_count())"
    asked = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    return int(asked.stdout or 0) if asked.returncode == 0 else 0
