"""Steps of all methods in every network, precision and batch: `python runners/benchmark_matrix.py`.

The combinations come in the order of their worth, and the file is written after each: what is cut
off has its first rows, and the same command with the same file goes on. Steps are timed as the
trainer runs them, without a wait between them. On a GPU torch.profiler counts kernels and their
time: what the kernels of a step leave of its time, the GPU waits for launches.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from runners.pool.worker import ENVIRONMENT

os.environ.update(ENVIRONMENT)  # before torch is imported

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import methods
import networks
from runners.cell.build import set_arithmetic
from runners.cell.hardware import device_name
from runners.cell.memory import peak_memory_mb, reset_peak_memory
from runners.speed.bench import Bench, variants_of
from runners.system.console import counted
from runners.system.files import read_json, write_json

NETWORKS, PRECISIONS, BATCHES = (
    ("cnn8", "small_cnn", "resnet18"),
    ("float32", "bf16", "tf32"),
    (128, 512),
)
SIDE = {"cpu": 512, "cuda": 8192}
"""Rows and columns of the matrices whose product is the measure of the device."""
WARMUP, PROFILED = 2, 3
NAMED = ("network", "precision", "batch", "method", "variant")
"""Fields of a row that name its combination."""


def in_order_of_worth(options: argparse.Namespace) -> list[tuple[Any, ...]]:
    """All combinations: what is first in its list comes first, all methods together."""
    kinds = (options.networks, options.precisions, options.batches)
    places = itertools.product(*(range(len(kind)) for kind in kinds))
    blocks = [
        tuple(kind[i] for kind, i in zip(kinds, place, strict=True))
        for place in sorted(places, key=sum)
    ]
    return [(*block, *each) for block in blocks for each in variants_of(options.methods, True)]


def arithmetic(precision: str, device: torch.device) -> None:
    set_arithmetic({"deterministic": True, "tf32": precision == "tf32"}, device)


def mean_seconds(run: Callable[[], None], count: int, device: torch.device) -> float:
    """Of `count` runs in a row: seconds of the GPU, or of this process on the CPU."""
    if device.type == "cpu":
        began = time.process_time()
        for _ in range(count):
            run()
        return (time.process_time() - began) / count
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(count):
        run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / count


def matmul_tflops(precision: str, device: torch.device) -> float:
    """TFLOP/s of a large matrix product in this precision: what a step is compared with."""
    arithmetic(precision, device)
    side = SIDE[device.type]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    mean_seconds(lambda: a @ b, 3, device)
    return round(2 * side**3 / mean_seconds(lambda: a @ b, 10, device) / 1e12, 3)


def kernels(step: Callable[[], None], device: torch.device) -> tuple[float | None, float | None]:
    """Kernels a step, and seconds a step in which any work runs on the GPU; None on the CPU."""
    if device.type == "cpu":
        return None, None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(PROFILED):
            step()
        torch.cuda.synchronize()
    work = [
        event
        for event in profiler.events()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]
    copies = sum(event.name.startswith(("Memcpy", "Memset")) for event in work)
    spans = [(event.time_range.start, event.time_range.end) for event in work]
    return (len(work) - copies) / PROFILED, covered(spans) / 1e6 / PROFILED


def covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def measured(
    combination: tuple[Any, ...], steps: int, device: torch.device, tflops: dict[str, float]
) -> dict[str, Any]:
    """Cost of one combination's step; what the profiler says of a GPU is None on the CPU."""
    network, precision, batch, method, variant = combination
    arithmetic(precision, device)
    bench = Bench(method, variant, precision, network, device, WARMUP + 1 + steps + PROFILED, batch)
    reset_peak_memory(device)
    base = peak_memory_mb(device)
    for _ in range(WARMUP):
        bench.step()
    with FlopCounterMode(display=False) as counter:
        bench.step()
    seconds = mean_seconds(bench.step, steps, device)
    peak = peak_memory_mb(device) - base
    count, busy = kernels(bench.step, device)
    rate = counter.get_total_flops() / seconds / 1e12
    return {
        "busy_ms": round(1e3 * seconds, 3),
        "images_per_s": round(batch / seconds, 1),
        "gflop": round(counter.get_total_flops() / 1e9, 3),
        "share_of_matmul": round(rate / tflops[precision], 4),
        "kernels": count,
        "kernels_ms": None if busy is None else round(1e3 * busy, 3),
        "waits_for_launches": None if busy is None else round(max(0.0, 1 - busy / seconds), 4),
        "peak_mb": round(peak, 1),
    }


def tried(combination: tuple[Any, ...], *how: Any) -> dict[str, Any]:
    """The row of a combination: its cost, or why there is none."""
    named = dict(zip(NAMED, combination, strict=True))
    try:
        return named | measured(combination, *how)
    except (RuntimeError, NotImplementedError, ValueError) as error:
        return named | {"error": f"{type(error).__name__}: {str(error)[:500]}"}


def kept(path: Path, head: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of an earlier call on the same device and torch that need not be measured again."""
    found = read_json(path)
    if not isinstance(found, dict) or any(found.get(name) != head[name] for name in head):
        return []
    return [row for row in found.get("rows", []) if "error" not in row]


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    command.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    command.add_argument("--methods", nargs="+", choices=methods.names(), default=methods.names())
    command.add_argument("--networks", nargs="+", choices=networks.names(), default=NETWORKS)
    command.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    command.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    command.add_argument("--steps", type=int, default=10, help="timed steps (default 10)")
    command.add_argument("--json", type=Path, required=True, metavar="FILE", help="the rows")
    return command


def main() -> int:
    options = parser().parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("--device: cuda is not possible: torch sees no GPU here; use cpu", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    device = torch.device(options.device)
    head = {"device": device_name(device), "torch": str(torch.__version__)}
    rows = kept(options.json, head)
    tflops = {each: matmul_tflops(each, device) for each in options.precisions}
    combinations = in_order_of_worth(options)
    done = {tuple(row[name] for name in NAMED) for row in rows}
    left = [each for each in combinations if each not in done]
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for number, combination in enumerate(left, start=1):
        rows.append(tried(combination, options.steps, device, tflops))
        missing = [" ".join(map(str, each)) for each in left[number:]]
        state = head | {"matmul_tflops": tflops, "rows": rows, "missing": missing}
        write_json(options.json, state)
    failed = [row for row in rows if "error" in row]
    for row in failed:
        print(f"failed: {' '.join(str(row[name]) for name in NAMED)}: {row['error']}")
    print(f"{counted(len(rows) - len(failed), 'combination')} measured, {len(failed)} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
