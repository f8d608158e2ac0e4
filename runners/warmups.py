"""Warm-ups shared between methods: trained by the first cell of a setting, read by the others.

Within a warm-up only the network and its optimiser change, and every random stream is a function of
the epoch, so their state and the history are all that the rest of a cell needs: its record is the
same bits with and without sharing.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from methods.base import Method
from methods.warmup import WarmupMethod
from runners.canonical import sha256_of
from runners.checkpoint import UNREADABLE
from runners.files import read_checked, write_checked
from runners.hardware import device_name, processor_name
from runners.provenance import fingerprint
from runners.sources import warmup_sources

if TYPE_CHECKING:
    from runners.grid import Cell

PARTS = ("network", "optimizer", "history")


@dataclasses.dataclass
class SharedWarmup:
    """The warm-up of one setting, length, code and hardware.

    Attributes:
        path: of the artefact; its name is a key of all that decides its numbers.
        epochs: length of the warm-up.
        withheld: asked at its end whether it must not be left for others, as it was trained on
            other hardware in part.
        restored: epochs that `restore` has taken over.
    """

    path: Path
    epochs: int
    withheld: Callable[[], bool] = lambda: False
    restored: int = 0

    @classmethod
    def of(cls, cell: Cell, method: Method, folder: Path) -> SharedWarmup | None:
        """That of a cell; None for a method without one, or with steps of its own in it."""
        if type(method).step is not WarmupMethod.step:
            return None
        device = method.task.noisy_labels.device
        decides = {
            **{name: getattr(cell, name) for name in ("dataset", "noise", "seed", "protocol")},
            "epochs": method.warmup_epochs,
            "code": fingerprint(warmup_sources(cell)),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": device_name(device),
            "processor": processor_name(),
        }
        return cls(folder / f"{sha256_of(decides)[:32]}.pt", method.warmup_epochs)

    def save(self, method: Method, history: list[dict[str, Any]]) -> None:
        """Writes the state at the end of the warm-up, for the methods that come later."""
        if self.withheld():
            return
        content = io.BytesIO()
        parts = (method.network.state_dict(), method.optimizer.state_dict(), history)
        torch.save(dict(zip(PARTS, parts, strict=True)), content)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_checked(self.path, content.getvalue())

    def restore(self, method: Method) -> list[dict[str, Any]] | None:
        """Puts a method to the end of its warm-up and returns the history up to there.

        None where there is no artefact or it cannot be read; then nothing has changed.
        """
        try:
            payload = read_checked(self.path)
        except OSError:
            payload = None
        if payload is None:
            return None
        try:
            # On the CPU: an optimiser keeps its step counts there and moves the rest itself.
            state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            network, optimizer, history = (state[name] for name in PARTS)
        except UNREADABLE:
            return None
        method.network.load_state_dict(network)
        method.optimizer.load_state_dict(optimizer)
        self.restored = len(history)
        return history
