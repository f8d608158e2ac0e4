"""Epochs of one method: steps, evaluation and history. Knows nothing of any particular method."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from methods.base import Batch, Method
from runners.cell.batches import epoch_batches
from runners.cell.evaluation import DeviceData, epoch_metrics, to_numbers, without_empty_parts
from runners.cell.tracking import Tracker

if TYPE_CHECKING:
    from runners.cell.checkpoint import Checkpointer


class Clock:
    """Times training and the whole of an epoch without waiting for the device in between.

    Args:
        before: seconds of this epoch's training in an attempt that was cut off.
    """

    def __init__(self, device: torch.device, before: float = 0.0) -> None:
        self.began, self.before = time.perf_counter(), before
        self.events = None
        if device.type == "cuda":
            self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            self.events[0].record()

    def mark(self) -> None:
        """The end of training."""
        self.trained = time.perf_counter()
        if self.events is not None:
            self.events[1].record()

    def so_far(self) -> float:
        """Seconds since the beginning, with those before it."""
        return self.before + time.perf_counter() - self.began

    def seconds(self) -> tuple[float, float]:
        """Seconds of training, and until now; to be called when the device has been waited for."""
        if self.events is None:
            return self.before + self.trained - self.began, self.so_far()
        return self.before + self.events[0].elapsed_time(self.events[1]) / 1e3, self.so_far()


@dataclass
class TrainState:
    """How far the training of a cell has come.

    Attributes:
        history: one entry a finished epoch.
        step: updates of the next epoch that are over; 0 between two epochs.
        totals: name -> sum of what these updates logged, scalars on the device.
        seconds: that these updates took.
        tracked: `Tracker.values`.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    totals: dict[str, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    tracked: dict[str, torch.Tensor] = field(default_factory=dict)


class Diverged(Exception):
    """A loss was not finite, found at the end of its epoch, or a weight after the last one."""


def autocast(protocol: dict[str, Any], device: torch.device) -> contextlib.AbstractContextManager:
    """The protocol's numeric precision: float32, or bfloat16 where `amp: bf16` asks for it."""
    if protocol["amp"] == "none":
        return contextlib.nullcontext()
    # No cast cache: the look-ahead runs one network with several sets of parameters.
    return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)


def fit(
    method: Method,
    sets: DeviceData,
    protocol: dict[str, Any],
    order: Callable[[int], np.random.Generator],
    network_seed: Callable[[int], int],
    on_epoch: Callable[[dict[str, Any]], None],
    checkpointer: Checkpointer | None = None,
    tracker: Tracker | None = None,
) -> list[dict[str, Any]]:
    """Trains for all epochs and returns the history, one entry an epoch.

    Args:
        method: as constructed.
        sets: data on the device; the method gets batches of `sets.train` only.
        protocol: resolved protocol of the cell.
        order: epoch -> stream of the epoch's order and augmentation.
        network_seed: epoch -> seed of random numbers drawn inside networks (dropout).
        on_epoch: called with each entry of the history when its epoch is over, or taken over.
        checkpointer: takes up an earlier attempt and keeps this one.
        tracker: follows the epochs for the record.

    Raises:
        Diverged: a loss, or a weight at the end, was NaN or infinite.
    """
    state = (checkpointer and checkpointer.restore(method, sets)) or TrainState()
    history = state.history
    tracker = tracker or Tracker(sets, method.task.classes)
    tracker.restore(state.tracked)
    state.tracked = tracker.values
    for entry in history:
        on_epoch(entry)
    while len(history) < protocol["epochs"]:
        epoch = len(history)
        if state.step == 0:
            torch.manual_seed(network_seed(epoch))
        entry = _epoch(method, tracker, protocol, order(epoch), state, checkpointer)
        history.append(entry)
        tracker.forget(history, sets.eval_name, method.warmup_epochs or 0, protocol["epochs"])
        on_epoch(entry)
        if None in entry["train"].values():
            raise Diverged(f"the loss was not finite in epoch {epoch + 1}")
        if checkpointer:
            checkpointer.epoch_over(method, sets, state)
    if not all(bool(weight.isfinite().all()) for weight in method.network.parameters()):
        raise Diverged("the weights are not finite after the last epoch")
    return history


def _to_be_summed(value: torch.Tensor) -> torch.Tensor:
    """The value in float32 at least: a sum in bfloat16 stands still after some hundred steps."""
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _epoch(
    method: Method,
    tracker: Tracker,
    protocol: dict[str, Any],
    rng: np.random.Generator,
    state: TrainState,
    checkpointer: Checkpointer | None,
) -> dict[str, Any]:
    """One epoch, or the rest of one; nothing in it waits for the device before its last lines."""
    epoch, sets = len(state.history), tracker.sets
    clock = Clock(sets.train.labels.device, state.seconds)
    method.train()
    with autocast(protocol, sets.train.labels.device):
        if state.step == 0:
            method.begin_epoch(epoch)
        size, augment = protocol["batch_size"], protocol["augment"]
        strengths = method.declaration.views
        for parts in epoch_batches(sets.train, rng, size, augment, state.step, strengths):
            batch = Batch(*parts)
            with tracker.step(method.network, batch):
                logged = {k: _to_be_summed(v) for k, v in method.step(batch).items()}
            totals = state.totals
            state.totals = {k: v + totals[k] if k in totals else v for k, v in logged.items()}
            state.step += 1
            if checkpointer and checkpointer.due():
                state.seconds = clock.so_far()
                tracker.flush()
                checkpointer.save(method, sets, state)
        method.end_epoch(epoch)
        rate = method.optimizer.param_groups[0]["lr"]
        tracker.flush()
        clock.mark()
        metrics = epoch_metrics(method, tracker, epoch)
    train = {name: total / state.step for name, total in state.totals.items()}
    state.step, state.totals, state.seconds = 0, {}, 0.0
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
