"""What layout and allocator settings of a worker are worth: `python runners/benchmark_settings.py`.

One process a setting, as the allocator reads its own when a process starts; their steps are
interleaved, one at a time, so that other load on the machine meets them alike. Ratios are to the
settings of a worker (`ENVIRONMENT` of `runners/worker.py`, `channels_last` of `runners/setup.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import torch  # noqa: E402

import methods  # noqa: E402
import networks  # noqa: E402
from runners.bench import BATCH, Bench  # noqa: E402
from runners.benchmark_step import timed  # noqa: E402
from runners.hardware import device_name  # noqa: E402
from runners.speed_files import JSON_HELP, write_rows  # noqa: E402
from runners.worker import ENVIRONMENT  # noqa: E402

AS_RUN, NCHW, PLAIN_MALLOC = "as a worker", "NCHW", "malloc as it is"
SETTINGS = (AS_RUN, NCHW, PLAIN_MALLOC)
WARMUP = 3


def environment(setting: str) -> dict[str, str]:
    """The environment of the process that measures a setting."""
    chosen = dict(ENVIRONMENT)
    if setting == PLAIN_MALLOC:
        chosen = {name: v for name, v in chosen.items() if not name.startswith("MALLOC_")}
    return {name: v for name, v in os.environ.items() if name not in ENVIRONMENT} | chosen


def layout(setting: str) -> torch.memory_format:
    """The memory format of the networks under a setting."""
    return torch.contiguous_format if setting == NCHW else torch.channels_last


def serve(setting: str, network: str, method: str, device: torch.device) -> None:
    """Makes a step for every line of standard input and answers with its milliseconds."""
    torch.set_num_threads(1)
    bench = Bench(method, "", network, device, layout(setting))
    for _ in sys.stdin:
        print(timed(bench.step, device)[0], flush=True)


@contextlib.contextmanager
def server(setting: str, network: str, options: argparse.Namespace) -> Iterator[subprocess.Popen]:
    """The process that measures a setting."""
    command = [sys.executable, __file__, "--network", network, "--device", options.device]
    command += ["--method", options.method, "--serve", setting]
    with subprocess.Popen(
        command,
        env=environment(setting),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield process


def step(process: subprocess.Popen) -> float:
    """Milliseconds of the process's next step.

    Raises:
        RuntimeError: it has ended.
    """
    process.stdin.write("step\n")
    said = process.stdout.readline()
    if not said:
        raise RuntimeError(f"a measuring process has ended: {process.args}")
    return float(said)


def measure(network: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a setting."""
    times: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
    with contextlib.ExitStack() as stack:
        servers = {s: stack.enter_context(server(s, network, options)) for s in SETTINGS}
        for count in range(WARMUP + options.steps):
            for setting, process in servers.items():
                taken = step(process)
                if count >= WARMUP:
                    times[setting].append(taken)
    base = times[AS_RUN]
    return [
        {
            "network": network,
            "method": options.method,
            "device": device_name(torch.device(options.device)),
            "setting": setting,
            "min_ms": round(min(taken), 3),
            "median_ms": round(statistics.median(taken), 3),
            "ratio_min": round(min(taken) / min(base), 3),
            "ratio_median": round(
                statistics.median(a / b for a, b in zip(taken, base, strict=True)), 3
            ),
        }
        for setting, taken in times.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = networks.names()
    parser.add_argument("--network", nargs="+", choices=known, default=["small_cnn", "cnn8"])
    parser.add_argument("--method", choices=methods.names(), default="cross_entropy")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=20, help="timed steps each (default 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help=JSON_HELP)
    parser.add_argument("--serve", choices=SETTINGS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("--device: cuda is not possible: torch sees no GPU here; use cpu", file=sys.stderr)
        return 2
    device = torch.device(options.device)
    if options.serve:
        serve(options.serve, options.network[0], options.method, device)
        return 0
    rows = [row for network in options.network for row in measure(network, options)]
    print(f"{options.method}, batch {BATCH}, {device_name(device)}, 1 thread")
    for row in rows:
        print(
            f"{row['network']:<10} {row['setting']:<16} {row['min_ms']:>9} ms  "
            f"{row['ratio_min']:.2f} x (min)  {row['ratio_median']:.2f} x (median)"
        )
    if options.json:
        name, parts = f"{device_name(device)}-settings", ("network", "method", "device")
        write_rows(options.json, name, rows, parts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
