"""What an epoch costs beside its steps: `python runners/benchmark_epoch.py`.

Trains cross-entropy on random images of the sizes of the default study (small_cnn) and of CIFAR-10
crops (cnn8, a small share of them), and compares an epoch with the time inside its steps and inside
the forward passes of its evaluation. The rest is order, batches, augmentation, metrics and the
checkpoint at its end.
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
from dataclasses import dataclass
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


class Untracked(Tracker):
    """Follows no image: what remains is the cost of an epoch without the means of the record."""

    def step(self, network: torch.nn.Module, batch: Batch) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def evaluated(self, part: str, found: Outputs) -> None:
        return None


class Stopwatch:
    """Adds up the time inside one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return self.function(*arguments)
        finally:
            self.seconds += time.perf_counter() - began


def made(network: str, size: Size) -> tuple[Method, DeviceData]:
    """Cross-entropy and random data on the CPU."""
    rng = np.random.default_rng(0)
    device = torch.device("cpu")

    def images(count: int) -> ImageSet:
        shape = (count, size.channels, size.side, size.side)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        moments = (0.5,) * size.channels, (0.25,) * size.channels
        return ImageSet.build(pixels, rng.integers(0, CLASSES, count), *moments, device)

    train = images(size.train)
    sample = torch.arange(size.sample)
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
        return built.to(memory_format=torch.channels_last)

    hparams = methods.declaration("cross_entropy").hparams()
    return methods.load("cross_entropy")(task, hparams, rng, new_network), sets


def measure(network: str, rounds: int) -> dict[str, Any]:
    """Medians over epochs: overhead, evaluation, and what following the images adds."""
    size = SIZES[network]
    method, sets = made(network, size)
    protocol = {"epochs": 1, "batch_size": BATCH, "augment": size.augment, "amp": "none"}
    overheads, evaluations, epochs = [], [], []
    for _ in range(rounds):
        step, predict = Stopwatch(type(method).step), Stopwatch(type(method).predict_members)
        method.step = lambda batch, step=step: step(method, batch)
        method.predict_members = lambda images, predict=predict: predict(method, images)
        with tempfile.TemporaryDirectory() as folder:
            checkpointer = Checkpointer(Path(folder, "checkpoint.pt"), {}, every=1, seconds=600)
            streams = np.random.default_rng, lambda epoch: 0, lambda entry: None
            began = time.perf_counter()
            (entry,) = trainer.fit(method, sets, protocol, *streams, checkpointer=checkpointer)
            whole = time.perf_counter() - began
        overheads.append(whole / (step.seconds + predict.seconds) - 1)
        evaluations.append((entry["seconds"] - entry["train_seconds"]) / predict.seconds)
        epochs.append(entry["seconds"])
    pairs = [following(method, sets, protocol, first) for first in [True, False] * -(-rounds // 2)]
    return {
        "network": network,
        "following": round(statistics.median(pairs), 4),
        "epoch_s": round(statistics.median(epochs), 3),
        "overhead": round(statistics.median(overheads), 4),
        "evaluation_ratio": round(statistics.median(evaluations), 3),
    }


def following(
    method: Method, sets: DeviceData, protocol: dict[str, Any], tracked_first: bool
) -> float:
    """What following the images adds to an epoch, as a share of it: two epochs in a row."""
    seconds = {}
    kinds = (Tracker, Untracked) if tracked_first else (Untracked, Tracker)
    for kind in kinds:
        began = time.process_time()
        streams = np.random.default_rng, lambda epoch: 0, lambda entry: None
        trainer.fit(method, sets, protocol, *streams, tracker=kind(sets, CLASSES))
        seconds[kind] = time.process_time() - began
    return seconds[Tracker] / seconds[Untracked] - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5, help="epochs a network (default 5)")
    parser.add_argument("--threads", type=int, default=1, help="intra-op threads (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help=JSON_HELP)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [measure(network, options.rounds) for network in options.networks]
    for row in rows:
        print(
            f"{row['network']}: an epoch of {row['epoch_s']} s; beside steps and evaluation's "
            f"forward passes {100 * row['overhead']:.1f} %; evaluation "
            f"{row['evaluation_ratio']} x its forward passes; following the images for the record "
            f"{100 * row['following']:.1f} % of an epoch"
        )
    if options.json:
        write_rows(options.json, "cpu-epoch", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
