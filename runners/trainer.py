"""Epochs of one method: steps, evaluation and history. Knows nothing of any particular method."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from datasets.batches import epoch_batches
from methods.base import Batch, Method
from runners.evaluation import Sets, epoch_metrics, to_numbers, without_empty_parts


class Clock:
    """Times training and the whole of an epoch without waiting for the device in between."""

    def __init__(self, device: torch.device) -> None:
        self.began = time.perf_counter()
        self.events = None
        if device.type == "cuda":
            self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            self.events[0].record()

    def mark(self) -> None:
        """The end of training."""
        self.trained = time.perf_counter()
        if self.events is not None:
            self.events[1].record()

    def seconds(self) -> tuple[float, float]:
        """Seconds of training, and until now; to be called when the device has been waited for."""
        total = time.perf_counter() - self.began
        if self.events is None:
            return self.trained - self.began, total
        return self.events[0].elapsed_time(self.events[1]) / 1e3, total


class Warmup(Protocol):
    """See `runners.warmups.SharedWarmup`."""

    epochs: int

    def save(self, method: Method, history: list[dict[str, Any]]) -> None: ...

    def restore(self, method: Method) -> list[dict[str, Any]] | None: ...


class Diverged(Exception):
    """A loss was not finite; found at the end of its epoch."""


def autocast(protocol: dict[str, Any], device: torch.device) -> contextlib.AbstractContextManager:
    """The protocol's numeric precision: float32, or bfloat16 where `amp: bf16` asks for it."""
    if protocol["amp"] == "none":
        return contextlib.nullcontext()
    # No cast cache: the look-ahead runs one network with several sets of parameters.
    return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)


def fit(
    method: Method,
    sets: Sets,
    protocol: dict[str, Any],
    order: Callable[[int], np.random.Generator],
    network_seed: Callable[[int], int],
    on_epoch: Callable[[dict[str, Any]], None],
    warmup: Warmup | None = None,
) -> list[dict[str, Any]]:
    """Trains for all epochs and returns the history, one entry an epoch.

    Args:
        method: as constructed.
        sets: data on the device; the method gets batches of `sets.train` only.
        protocol: resolved protocol of the cell.
        order: epoch -> stream of the epoch's order and augmentation.
        network_seed: epoch -> seed of random numbers drawn inside networks (dropout).
        on_epoch: called with each entry of the history when its epoch is over.
        warmup: where the end of the method's warm-up may be taken from, or is left for others.

    Raises:
        Diverged: a loss was NaN or infinite.
    """
    history = (warmup.restore(method) if warmup else None) or []
    for entry in history:
        on_epoch(entry)
    for epoch in range(len(history), protocol["epochs"]):
        torch.manual_seed(network_seed(epoch))
        entry = _epoch(method, sets, protocol, order(epoch), epoch)
        history.append(entry)
        on_epoch(entry)
        if None in entry["train"].values():
            raise Diverged(f"the loss was not finite in epoch {epoch + 1}")
        if warmup and len(history) == warmup.epochs:
            warmup.save(method, history)
    return history


def _epoch(
    method: Method,
    sets: Sets,
    protocol: dict[str, Any],
    rng: np.random.Generator,
    epoch: int,
) -> dict[str, Any]:
    """One epoch; nothing in it waits for the device before the numbers of its last line."""
    device = sets.train.labels.device
    clock = Clock(device)
    method.train()
    with autocast(protocol, device):
        method.begin_epoch(epoch)
        totals: dict[str, torch.Tensor] = {}
        steps = 0
        batches = epoch_batches(sets.train, rng, protocol["batch_size"], protocol["augment"])
        for parts in batches:
            logged = method.step(Batch(*parts))
            totals = {k: v + totals[k] if k in totals else v for k, v in logged.items()}
            steps += 1
        rate = method.optimizer.param_groups[0]["lr"]
        clock.mark()
        metrics = epoch_metrics(method, sets)
    train = {name: total / steps for name, total in totals.items()}
    numbers = to_numbers({"train": train, **metrics})
    numbers["memorisation"] = without_empty_parts(numbers["memorisation"])
    trained, total = clock.seconds()
    return {
        "epoch": epoch + 1,
        "lr": rate,
        **numbers,
        "train_seconds": round(trained, 4),
        "seconds": round(total, 4),
    }
