"""What an epoch costs beside its steps: `python runners/benchmark_epoch.py`.

Trains cross-entropy on random images of the sizes of the default study (small_cnn) and of CIFAR-10
crops (cnn8, a small share of them), and compares an epoch with the time inside its steps and inside
the forward passes of its evaluation. The rest is order, batches, augmentation, metrics and the
checkpoint at its end. On a GPU (`--device cuda`) cnn8 has the sizes of CIFAR-10, and every timed
part waits for the GPU, so what runs beside it counts as overhead: an upper bound.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch

import methods
import networks
from methods.base import Batch, Method, Task
from runners.cell import trainer
from runners.cell.batches import ImageSet
from runners.cell.checkpoint import Checkpointer
from runners.cell.evaluation import DeviceData, Outputs
from runners.cell.hardware import device_name
from runners.cell.tracking import Tracker
from runners.speed.speed_files import JSON_HELP, write_rows

CLASSES, BATCH = 10, 128


@dataclass(frozen=True)
class Size:
    """Images of one measurement: training, test, noisy validation, memorisation sample."""

    channels: int
    side: int
    train: int
    test: int
    noisy_val: int
    sample: int
    augment: str


SIZES = {
    "small_cnn": Size(1, 28, 10_575, 3_000, 1_175, 2_000, "none"),
    "cnn8": Size(3, 32, 1_280, 256, 128, 128, "crop_flip"),
}


ON_GPU = SIZES | {"cnn8": Size(3, 32, 44_100, 10_000, 4_900, 2_000, "crop_flip")}


class Untracked(Tracker):
    """Follows no image: what remains is the cost of an epoch without the means of the record."""

    def step(self, network: torch.nn.Module, batch: Batch) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def evaluated(self, part: str, found: Outputs) -> None:
        return None


class Stopwatch:
    """Adds up the time inside one function, what it leaves to the GPU included."""

    def __init__(self, function: Callable[..., Any], device: torch.device) -> None:
        self.function, self.device, self.seconds = function, device, 0.0

    def __call__(self, *arguments: Any) -> Any:
        began = seconds_now(self.device)
        try:
            return self.function(*arguments)
        finally:
            self.seconds += seconds_now(self.device) - began


def seconds_now(device: torch.device) -> float:
    """Wall time once the GPU has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def made(network: str, size: Size, device: torch.device) -> tuple[Method, DeviceData]:
    """Cross-entropy and random data on the device."""
    rng = np.random.default_rng(0)

    def images(count: int) -> ImageSet:
        shape = (count, size.channels, size.side, size.side)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        moments = (0.5,) * size.channels, (0.25,) * size.channels
        return ImageSet.build(pixels, rng.integers(0, CLASSES, count), *moments, device)

    train = images(size.train)
    sample = torch.arange(size.sample, device=device)
    validation = images(size.noisy_val)
    sets = DeviceData(train, train.labels, sample, images(size.test), "test", validation, None)
    task = Task(
        classes=CLASSES,
        n_train=size.train,
        epochs=1,
        steps_per_epoch=size.train // BATCH,
        augmented=size.augment != "none",
        noisy_labels=train.labels,
        make_optimizer=lambda p: torch.optim.SGD(p, 1e-3, 0.9, weight_decay=5e-4),
        learning_rate=lambda epoch: 1e-3,
        train_in_order=lambda: iter(()),
    )

    def new_network() -> torch.nn.Module:
        built = networks.build(network, size.channels, size.side, CLASSES)
        return built.to(device, memory_format=torch.channels_last)

    hparams = methods.declaration("cross_entropy").hparams()
    return methods.load("cross_entropy")(task, hparams, rng, new_network), sets


def size_of(network: str, device: torch.device, share: float) -> Size:
    """The sizes of a network's measurement, or a share of their images."""
    size = (ON_GPU if device.type == "cuda" else SIZES)[network]
    counts = ("train", "test", "noisy_val", "sample")
    fewer = {name: max(BATCH, int(share * getattr(size, name))) for name in counts}
    return size if share == 1 else replace(size, **fewer)


def measure(network: str, rounds: int, device: torch.device, share: float) -> dict[str, Any]:
    """Medians over epochs: overhead, evaluation, and what following and augmentation add."""
    size = size_of(network, device, share)
    method, sets = made(network, size, device)
    protocol = {"epochs": 1, "batch_size": BATCH, "augment": size.augment, "amp": "none"}
    overheads, evaluations, epochs = [], [], []
    for _ in range(rounds):
        step = Stopwatch(type(method).step, device)
        predict = Stopwatch(type(method).predict_members, device)
        method.step = lambda batch, step=step: step(method, batch)
        method.predict_members = lambda images, predict=predict: predict(method, images)
        with tempfile.TemporaryDirectory() as folder:
            checkpointer = Checkpointer(Path(folder, "checkpoint.pt"), {}, every=1, seconds=600)
            streams = np.random.default_rng, lambda epoch: 0, lambda entry: None
            began = seconds_now(device)
            (entry,) = trainer.fit(method, sets, protocol, *streams, checkpointer=checkpointer)
            whole = seconds_now(device) - began
        overheads.append(whole / (step.seconds + predict.seconds) - 1)
        evaluations.append((entry["seconds"] - entry["train_seconds"]) / predict.seconds)
        epochs.append(entry["seconds"])
    del method.step, method.predict_members
    orders = [True, False] * -(-rounds // 2)
    plain = protocol | {"augment": "none"}
    pairs = [following(method, sets, protocol, first) for first in orders]
    augmented = [added(method, sets, protocol, plain, first) for first in orders]
    return {
        "network": network,
        "images": size.train,
        "following": round(statistics.median(pairs), 4),
        "augmentation": round(statistics.median(augmented), 4),
        "epoch_s": round(statistics.median(epochs), 3),
        "overhead": round(statistics.median(overheads), 4),
        "evaluation_ratio": round(statistics.median(evaluations), 3),
    }


def busy_seconds(
    method: Method, sets: DeviceData, protocol: dict[str, Any], kind: type[Tracker]
) -> float:
    """An epoch in seconds of this process's CPU, or on a GPU of the clock."""
    device = sets.train.labels.device
    now = time.process_time if device.type == "cpu" else lambda: seconds_now(device)
    began = now()
    streams = np.random.default_rng, lambda epoch: 0, lambda entry: None
    trainer.fit(method, sets, protocol, *streams, tracker=kind(sets, CLASSES))
    return now() - began


def added(
    method: Method,
    sets: DeviceData,
    protocol: dict[str, Any],
    without: dict[str, Any],
    whole_first: bool,
) -> float:
    """What a protocol adds to an epoch of another one, as a share of it: two in a row."""
    pair = (protocol, without) if whole_first else (without, protocol)
    first, second = (busy_seconds(method, sets, each, Tracker) for each in pair)
    return first / second - 1 if whole_first else second / first - 1


def following(
    method: Method, sets: DeviceData, protocol: dict[str, Any], tracked_first: bool
) -> float:
    """What following the images adds to an epoch, as a share of it: two epochs in a row."""
    kinds = (Tracker, Untracked) if tracked_first else (Untracked, Tracker)
    seconds = {kind: busy_seconds(method, sets, protocol, kind) for kind in kinds}
    return seconds[Tracker] / seconds[Untracked] - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5, help="epochs a network (default 5)")
    parser.add_argument("--share", type=float, default=1.0, help="of the images (default 1)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="intra-op threads (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help=JSON_HELP)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, rows = torch.device(options.device), []
    for network in options.networks:
        rows.append(row := measure(network, options.rounds, device, options.share))
        if options.json:  # what is measured stays if the rest is cut off
            write_rows(options.json, f"{device_name(device)}-epoch", rows)
        print(
            f"{row['network']}: an epoch of {row['epoch_s']} s; beside steps and evaluation's "
            f"forward passes {100 * row['overhead']:.1f} %; evaluation "
            f"{row['evaluation_ratio']} x its forward passes; following the images for the record "
            f"{100 * row['following']:.1f} % of an epoch, augmentation "
            f"{100 * row['augmentation']:.1f} %"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
