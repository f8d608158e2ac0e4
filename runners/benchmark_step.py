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
sys.path[0] = str(ROOT)

import numpy as np  # noqa: E402
import torch  # noqa: E402

import methods  # noqa: E402
import networks  # noqa: E402
from datasets.batches import EndlessBatches, ImageSet  # noqa: E402
from methods.base import Batch, Method, Task  # noqa: E402
from methods.declaration import Privileges  # noqa: E402
from runners.memory import peak_memory_mb, reset_peak_memory  # noqa: E402
from runners.speed_files import JSON_HELP, device_name, write_rows  # noqa: E402
from tests.oracles import DOUBLE_BACKWARD  # noqa: E402

CLASSES, BATCH, CLEAN, BATCHES = 10, 128, 250, 4
SHAPES = {"small_cnn": (1, 28)}
OTHER_SHAPE = (3, 32)

# Passes of a step in forward passes F; a backward or tangent pass is 2 F, cross-entropy 3 F.
IDEAL_PASSES = {
    ("co_teaching", ""): 6,
    ("mw_net", ""): 10,
    ("metalabelnet", "cached"): 10,
    ("metalabelnet", "online"): 11,
}


@dataclass(frozen=True)
class Row:
    """Cost of one variant; milliseconds a step, ratios to cross-entropy, MiB above base."""

    method: str
    variant: str
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


def variants_of(names: list[str], against: bool) -> list[tuple[str, str]]:
    """(method, variant) of all rows; cross-entropy first, everything is compared with it."""
    rows = [("cross_entropy", "")]
    for name in names:
        if name == "metalabelnet":
            rows += [(name, "cached"), (name, "online")]
        elif name != "cross_entropy":
            rows.append((name, ""))
        if against and name in DOUBLE_BACKWARD:
            rows.append((name, "double-backward"))
    return rows


class Bench:
    """One variant at work: a method past its warm-up and a few batches of random images."""

    def __init__(self, name: str, variant: str, network: str, device: torch.device) -> None:
        channels, size = SHAPES.get(network, OTHER_SHAPE)
        rng = np.random.default_rng(0)
        count = BATCH * BATCHES
        images = rng.integers(0, 256, (count, channels, size, size), dtype=np.uint8)
        labels = rng.integers(0, CLASSES, count)
        moments = (0.5,) * channels, (0.25,) * channels
        data = ImageSet.build(images, labels, *moments, device)
        subset = ImageSet.build(images[:CLEAN], labels[:CLEAN], *moments, device)
        clean = EndlessBatches(subset, BATCH, "none", np.random.default_rng, BATCHES)
        index = torch.arange(count, device=device)
        self.batches = [Batch(*data.take(part)) for part in index.split(BATCH)]
        task = Task(
            classes=CLASSES,
            n_train=count,
            epochs=12,
            steps_per_epoch=BATCHES,
            augmented=variant == "online",
            noisy_labels=data.labels,
            make_optimizer=lambda p: torch.optim.SGD(p, 1e-3, 0.9, weight_decay=5e-4),
            learning_rate=lambda epoch: 1e-3,
            train_in_order=lambda: (Batch(*parts) for parts in data.in_order(500)),
            granted=Privileges.CLEAN_SUBSET | Privileges.NOISE_RATE,
            clean_source=lambda augment: Batch(*clean.next(augment)),
            realised_rate=0.4,
        )
        kind = DOUBLE_BACKWARD[name] if variant == "double-backward" else methods.load(name)

        def new_network() -> torch.nn.Module:
            made = networks.build(network, channels, size, CLASSES)
            return made.to(device, memory_format=torch.channels_last)

        torch.manual_seed(0)
        hparams = methods.declaration(name).hparams()
        self.method: Method = kind(task, hparams, np.random.default_rng(0), new_network)
        self.method.train()
        for epoch in {0, self.method.warmup_epochs or 0}:
            self.method.begin_epoch(epoch)
        self.count = 0

    def step(self) -> None:
        self.method.step(self.batches[self.count % BATCHES])
        self.count += 1


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


def measure(options: argparse.Namespace, device: torch.device) -> list[Row]:
    """Times all variants interleaved, then their memory one process each."""
    wanted = variants_of(options.methods, options.against is not None)
    benches = {key: Bench(*key, options.network, device) for key in wanted}
    times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in wanted}
    for round_number in range(options.warmup + options.steps):
        for key, bench in benches.items():
            taken = timed(bench.step, device)
            if round_number >= options.warmup:
                times[key].append(taken)
    summary = {
        key: (
            min(wall for wall, _ in taken),
            statistics.median(wall for wall, _ in taken),
            statistics.median(busy for _, busy in taken),
        )
        for key, taken in times.items()
    }
    base = summary["cross_entropy", ""]
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
            ideal_ratio=ideal_ratio(*key),
            peak_mb=peak_of(key, options),
        )
        for key, (low, median, busy) in summary.items()
    ]


def ideal_ratio(method: str, variant: str) -> float | None:
    """The ratio by the count of passes; None for double backward, which has no such count."""
    if variant == "double-backward":
        return None
    return round(IDEAL_PASSES.get((method, variant), 3) / 3, 2)


def peak_of(key: tuple[str, str], options: argparse.Namespace) -> float:
    """Peak memory above base of one variant, measured in a process of its own."""
    command = [sys.executable, __file__, "--network", options.network, "--device", options.device]
    command += ["--threads", str(options.threads), "--peak", *key]
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(asked.stdout.strip().splitlines()[-1])


def print_peak(name: str, variant: str, network: str, device: torch.device) -> None:
    bench = Bench(name, variant, network, device)
    reset_peak_memory(device)
    base = peak_memory_mb(device)
    for _ in range(3):
        bench.step()
    print(round(peak_memory_mb(device) - base, 1))


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    head = ("method", "variant", "min ms", "median ms", "busy ms", "images/s")
    head = (*head, "x CE (min)", "x CE (cpu)", "ideal", "peak MB")
    lines = [head]
    for row in rows:
        values = list(asdict(row).values())
        lines.append(tuple("" if v is None else str(v) for v in values[:2] + values[4:]))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(w) if i > 1 else cell.ljust(w) for i, (cell, w) in enumerate(pairs))
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
    parser.add_argument("--peak", nargs=2, metavar=("METHOD", "VARIANT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("--device: cuda is not possible: torch sees no GPU here; use cpu", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    if options.peak:
        print_peak(*options.peak, options.network, device)
        return 0
    rows = measure(options, device)
    print(f"{options.network}, batch {BATCH}, {device_name(device)}, {options.threads} thread(s)")
    print(table(rows))
    if options.json:
        write_rows(options.json, device_name(device), [asdict(row) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
