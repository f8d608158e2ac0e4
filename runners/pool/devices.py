"""Which devices this machine has for workers. Imports no torch."""

from __future__ import annotations

import math
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
        slots = ["cpu"] * count_cores()
    count = len(slots) if workers == "auto" else max(1, workers)
    return [slots[i % len(slots)] for i in range(count)]


def count_cores(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use: of its affinity, and of its control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota, period = _quota(group / "cpu.max")
    if quota is None:  # version 1 of control groups
        names = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")
        (quota, _), (period, _) = (_quota(group / name) for name in names)
    if quota and period and quota > 0:
        cores = min(cores or 1, math.ceil(quota / period))
    return max(1, cores or 1)


def lacks_bf16(info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor is known to compute bf16 by way of float32."""
    try:
        words = set(info.read_text(encoding="utf-8").split())
    except OSError:
        return False
    return not words & {"avx512_bf16", "amx_bf16", "bf16"}


def _quota(file: Path) -> tuple[int | None, int | None]:
    """The whole numbers of a file of a control group; None where there is none or no limit."""
    try:
        words = file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        words = []
    numbers = [int(word) if word.lstrip("-").isdigit() else None for word in words]
    return tuple([*numbers, None, None][:2])


def count_gpus() -> int:
    """CUDA devices that torch sees. Asked in a process of its own: planning needs no torch."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    code = "import torch; print(torch.cuda.device_count())"
    asked = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    return int(asked.stdout or 0) if asked.returncode == 0 else 0
