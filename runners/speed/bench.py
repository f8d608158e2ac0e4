"""Training steps on random images, set up to be timed: the work of `runners/benchmark_step.py`."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

import methods
import networks
from methods.base import Batch, Method, Sampler, Task
from methods.base.sampler import Draws
from methods.declaration import Privileges
from runners.cell.batches import EndlessBatches, ImageSet
from runners.cell.trainer import autocast
from runners.cell.views import draw_all
from runners.speed.double_backward import DOUBLE_BACKWARD

CLASSES, BATCH, CLEAN = 10, 128, 250
SHAPES = {"small_cnn": (1, 28)}
OTHER_SHAPE = (3, 32)

ONE_PASS = (
    *("cross_entropy", "gce", "sce", "nce_rce", "forward", "forward_estimated", "bootstrap"),
    *("pencil", "joint_optimization", "label_smoothing", "mixup", "elr", "oracle", "clean_only"),
    *("fine_tune", "metalabelnet_probe", "metalabelnet_random"),
)
"""Methods of one forward and one backward pass a step, some on cached features."""

# Passes of a step in forward passes F; a backward or tangent pass is 2 F, cross-entropy 3 F.
IDEAL_PASSES = {
    **dict.fromkeys(ONE_PASS, 3),
    **dict.fromkeys(("co_teaching", "co_teaching_plus", "jocor", "cross_entropy_plus_clean"), 6),
    **dict.fromkeys(("mw_net", "mslg", "metalabelnet"), 10),
    ("metalabelnet", "online"): 11,
    "l2rw": 11,
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
    alone = IDEAL_PASSES.get(method) if variant in ("", "cached") else None
    passes = IDEAL_PASSES.get((method, variant), alone)
    return None if passes is None else round(passes / 3, 2)


class Bench:
    """One variant at work: a method past its warm-up, in an epoch of random images.

    Args:
        steps: of the epoch; no more can be made, since some methods draw numbers for it beforehand.
        precision: "float32", "tf32" (where the caller has switched it on, as with
            `protocol.tf32`), or "bf16" as with `protocol.amp: bf16`.
        batch: images of a batch.
    """

    def __init__(
        self,
        name: str,
        variant: str,
        precision: str,
        network: str,
        device: torch.device,
        steps: int,
        batch: int = BATCH,
    ) -> None:
        self.protocol = {"amp": "bf16" if precision == "bf16" else "none"}
        self.device = device
        channels, size = SHAPES.get(network, OTHER_SHAPE)
        rng = np.random.default_rng(0)
        count, clean = batch * steps, min(max(CLEAN, batch), batch * steps)
        images = rng.integers(0, 256, (count, channels, size, size), dtype=np.uint8)
        labels = rng.integers(0, CLASSES, count)
        moments = (0.5,) * channels, (0.25,) * channels
        data = ImageSet.build(images, labels, *moments, device)
        subset = ImageSet.build(images[:clean], labels[:clean], *moments, device)
        index = torch.arange(count, device=device)
        strengths = methods.declaration(name).views
        self.batches = [_batch(data, part, strengths, rng) for part in index.split(batch)]
        augmented = variant.startswith("online")
        task = _task(data, subset, strengths, batch, augmented)
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
            self.method.step(self.batches[self.count])
        self.count += 1


def _batch(
    data: ImageSet, index: Tensor, strengths: tuple[str, ...], rng: np.random.Generator
) -> Batch:
    drawn = draw_all(rng, len(index), "none", strengths, data.draw)
    return Batch(*data.views(index, strengths, [d if d is None else data.upload(d) for d in drawn]))


def _task(
    data: ImageSet, subset: ImageSet, strengths: tuple[str, ...], batch: int, augmented: bool
) -> Task:
    steps = len(data) // batch
    clean = EndlessBatches(subset, batch, "none", np.random.default_rng, steps)

    def sampler(name: str) -> Sampler:
        def take(index: np.ndarray, draws: Draws) -> Batch:
            drawn = [None if view is None else data.upload(view) for view in draws]
            return Batch(*data.views(data.upload(index), strengths, drawn))

        draw = functools.partial(draw_all, augment="none", strengths=strengths, draw=data.draw)
        return Sampler(name, len(data), batch, np.random.default_rng, draw, take)

    return Task(
        classes=CLASSES,
        n_train=len(data),
        epochs=12,
        steps_per_epoch=steps,
        augmented=augmented,
        noisy_labels=data.labels,
        make_optimizer=lambda p: torch.optim.SGD(p, 1e-3, 0.9, weight_decay=5e-4),
        learning_rate=lambda epoch: 1e-3,
        train_in_order=lambda: (Batch(*parts) for parts in data.in_order(500)),
        granted=~Privileges.NONE,
        clean_source=lambda augment: Batch(*clean.next(augment)),
        realised_rate=0.4,
        matrix=torch.full((CLASSES, CLASSES), 0.04, device=data.labels.device).fill_diagonal_(0.64),
        truth=data.labels,
        sampler=sampler,
    )
