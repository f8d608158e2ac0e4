"""What a training step costs: `python runners/benchmark_step.py --network cnn8`.

All variants run interleaved in one process after a warm-up, so that other load on the machine
meets them alike; ratios are to cross-entropy in the same run, by minimum and by CPU- (or GPU-)
seconds. Peak memory above the state before the first step is measured in a process per variant.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import torch

import methods
import networks
from runners.cell.hardware import device_name
from runners.cell.memory import peak_memory_mb, reset_peak_memory
from runners.speed.bench import BATCH, Bench, ideal_ratio, variants_of
from runners.speed.speed_files import JSON_HELP, write_rows

Key = tuple[str, str, str]
"""Method, variant and precision."""
BASE = ("cross_entropy", "", "float32")
"""What everything is compared with."""
PEAK_STEPS = 3
"""Steps after which memory has seen its peak."""


@dataclass(frozen=True)
class Row:
    """Cost of one variant: ms a step, ratios to cross-entropy in float32, MiB above base."""

    method: str
    variant: str
    precision: str
    network: str
    device: str
    min_ms: float
    median_ms: float
    busy_ms: float
    images_per_s: float
    ratio_min: float
    ratio_cpu: float
    ideal_ratio: float | None
    peak_mb: float


def timed(step: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Wall milliseconds and busy milliseconds (CPU of the process, or GPU) of one step."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        wall = time.perf_counter()
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - wall), start.elapsed_time(end)
    wall, busy = time.perf_counter(), time.process_time()
    step()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - busy)


def measured_times(
    options: argparse.Namespace, device: torch.device
) -> dict[Key, list[tuple[float, float]]]:
    """Wall and busy milliseconds of every timed step, all variants interleaved."""
    variants = variants_of(options.methods, options.against is not None)
    precisions = ["float32", "bf16"] if options.amp else ["float32"]
    wanted = [(*variant, precision) for variant in variants for precision in precisions]
    steps = options.warmup + options.steps
    benches = {key: Bench(*key, options.network, device, steps) for key in wanted}
    for _ in range(options.warmup):
        for bench in benches.values():
            timed(bench.step, device)
    times: dict[Key, list[tuple[float, float]]] = {key: [] for key in wanted}
    for _ in range(options.steps):
        for key, bench in benches.items():
            times[key].append(timed(bench.step, device))
    return times


def measure(options: argparse.Namespace, device: torch.device) -> list[Row]:
    """Times all variants interleaved, then their memory one process each."""
    summary = {
        key: (
            min(wall for wall, _ in taken),
            statistics.median(wall for wall, _ in taken),
            statistics.median(busy for _, busy in taken),
        )
        for key, taken in measured_times(options, device).items()
    }
    base = summary[BASE]
    return [
        Row(
            *key,
            network=options.network,
            device=device_name(device),
            min_ms=round(low, 3),
            median_ms=round(median, 3),
            busy_ms=round(busy, 3),
            images_per_s=round(1e3 * BATCH / median, 1),
            ratio_min=round(low / base[0], 3),
            ratio_cpu=round(busy / base[2], 3),
            ideal_ratio=ideal_ratio(*key[:2]) if key[2] == "float32" else None,
            peak_mb=peak_of(key, options),
        )
        for key, (low, median, busy) in summary.items()
    ]


def peak_of(key: Key, options: argparse.Namespace) -> float:
    """Peak memory above base of one variant, measured in a process of its own."""
    command = [sys.executable, __file__, "--network", options.network, "--device", options.device]
    command += ["--threads", str(options.threads), "--peak", *key]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(asked.stdout.strip().splitlines()[-1])


def print_peak(key: Key, network: str, device: torch.device) -> None:
    bench = Bench(*key, network, device, PEAK_STEPS)
    reset_peak_memory(device)
    base = peak_memory_mb(device)
    for _ in range(PEAK_STEPS):
        bench.step()
    print(round(peak_memory_mb(device) - base, 1))


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    head = ("method", "variant", "precision", "min ms", "median ms", "busy ms", "images/s")
    head = (*head, "x CE (min)", "x CE (cpu)", "ideal", "peak MB")
    lines = [head]
    for row in rows:
        values = list(asdict(row).values())
        lines.append(tuple("" if v is None else str(v) for v in values[:3] + values[5:]))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(w) if i > 2 else cell.ljust(w) for i, (cell, w) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=networks.names(), default="cnn8")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--methods", nargs="+", choices=methods.names(), default=methods.names())
    parser.add_argument("--against", choices=("double-backward",))
    parser.add_argument("--steps", type=int, default=10, help="timed steps a variant (default 10)")
    parser.add_argument("--warmup", type=int, default=2, help="untimed steps (default 2)")
    parser.add_argument("--threads", type=int, default=1, help="intra-op threads (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help=JSON_HELP)
    parser.add_argument("--amp", action="store_true", help="also in bf16 (protocol.amp: bf16)")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("--device: cuda is not possible: torch sees no GPU here; use cpu", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    if options.peak:
        print_peak(tuple(options.peak), options.network, device)
        return 0
    rows = measure(options, device)
    print(f"{options.network}, batch {BATCH}, {device_name(device)}, {options.threads} thread(s)")
    print(table(rows))
    if options.json:
        parts = ("network", "device")
        write_rows(options.json, device_name(device), [asdict(row) for row in rows], parts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
