"""Training steps on random images, set up to be timed: the work of `runners/benchmark_step.py`."""

from __future__ import annotations

import numpy as np
import torch

import methods
import networks
from methods.base import Batch, Method, Task
from methods.declaration import Privileges
from runners.cell.batches import EndlessBatches, ImageSet
from runners.cell.trainer import autocast
from runners.speed.double_backward import DOUBLE_BACKWARD

CLASSES, BATCH, CLEAN, BATCHES = 10, 128, 250, 4
SHAPES = {"small_cnn": (1, 28)}
OTHER_SHAPE = (3, 32)

# Passes of a step in forward passes F; a backward or tangent pass is 2 F, cross-entropy 3 F.
IDEAL_PASSES = {
    **{(name, ""): 3 for name in ("cross_entropy", "clean_only", "fine_tune", "gce")},
    ("co_teaching", ""): 6,
    ("mw_net", ""): 10,
    ("metalabelnet", "cached"): 10,
    ("metalabelnet", "online"): 11,
}


def variants_of(names: list[str], against: bool) -> list[tuple[str, str]]:
    """(method, variant) of all rows; cross-entropy first, everything is compared with it."""
    rows = [("cross_entropy", "")]
    for name in dict.fromkeys(names):
        plain = ["cached", "online"] if name == "metalabelnet" else [""]
        rows += [(name, variant) for variant in plain]
        if against and name in DOUBLE_BACKWARD:
            rows.append((name, "double-backward"))
    return list(dict.fromkeys(rows))


def ideal_ratio(method: str, variant: str) -> float | None:
    """The ratio by the count of passes.

    None where nobody has counted: double backward, other methods.
    """
    passes = IDEAL_PASSES.get((method, variant))
    return None if passes is None else round(passes / 3, 2)


class Bench:
    """One variant at work: a method past its warm-up and a few batches of random images.

    Args:
        precision: "float32", or "bf16" as with `protocol.amp: bf16`.
    """

    def __init__(
        self, name: str, variant: str, precision: str, network: str, device: torch.device
    ) -> None:
        self.protocol = {"amp": "none" if precision == "float32" else precision}
        self.device = device
        channels, size = SHAPES.get(network, OTHER_SHAPE)
        rng = np.random.default_rng(0)
        count = BATCH * BATCHES
        images = rng.integers(0, 256, (count, channels, size, size), dtype=np.uint8)
        labels = rng.integers(0, CLASSES, count)
        moments = (0.5,) * channels, (0.25,) * channels
        data = ImageSet.build(images, labels, *moments, device)
        subset = ImageSet.build(images[:CLEAN], labels[:CLEAN], *moments, device)
        index = torch.arange(count, device=device)
        self.batches = [Batch(*data.take(part)) for part in index.split(BATCH)]
        task = _task(data, subset, augmented=variant.startswith("online"))
        kind = DOUBLE_BACKWARD[name] if variant == "double-backward" else methods.load(name)

        def new_network() -> torch.nn.Module:
            built = networks.build(network, channels, size, CLASSES)
            return built.to(device, memory_format=torch.channels_last)

        torch.manual_seed(0)
        hparams = methods.declaration(name).hparams()
        self.method: Method = kind(task, hparams, np.random.default_rng(0), new_network)
        self.method.train()
        for epoch in {0, self.method.warmup_epochs or 0}:
            self.method.begin_epoch(epoch)
        self.count = 0

    def step(self) -> None:
        with autocast(self.protocol, self.device):
            self.method.step(self.batches[self.count % BATCHES])
        self.count += 1


def _task(data: ImageSet, subset: ImageSet, augmented: bool) -> Task:
    clean = EndlessBatches(subset, BATCH, "none", np.random.default_rng, BATCHES)
    return Task(
        classes=CLASSES,
        n_train=len(data),
        epochs=12,
        steps_per_epoch=BATCHES,
        augmented=augmented,
        noisy_labels=data.labels,
        make_optimizer=lambda p: torch.optim.SGD(p, 1e-3, 0.9, weight_decay=5e-4),
        learning_rate=lambda epoch: 1e-3,
        train_in_order=lambda: (Batch(*parts) for parts in data.in_order(500)),
        granted=Privileges.CLEAN_SUBSET | Privileges.NOISE_RATE,
        clean_source=lambda augment: Batch(*clean.next(augment)),
        realised_rate=0.4,
    )
