"""Checkpoints: a cell that was cut off resumes from its last one, to the same bits.

A checkpoint is whole (written aside, then renamed, its SHA-256 in front) and names what it belongs
to: the cell's key, the code's fingerprint, torch, the number of threads and the format. One that is
truncated, of another cell or code, or cannot be understood is set aside, and the cell starts over.
Loading executes nothing.
"""

from __future__ import annotations

import io
import logging
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from methods.base import Method
from runners.cell.evaluation import DeviceData
from runners.cell.method_state import UnrestorableState, capture, restore, snapshot
from runners.cell.trainer import TrainState
from runners.results.failures import Kind, of_error
from runners.system.files import read_checked, write_checked
from runners.system.signals import StopRequested, stop_requested

UNREADABLE = (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError, ValueError)
"""What torch raises where a file holds something else than what was saved."""

UNFIT = (*UNREADABLE, AttributeError, IndexError)
"""What is raised where a state does not fit what it is put into, or is no such state."""

FORMAT = 3
"""To be raised with the meaning of a checkpoint's content: no fingerprint holds this file."""


class CheckpointMismatch(Exception):
    """A checkpoint does not belong to this cell as it is run today."""


@dataclass
class Notes:
    """What a record tells of earlier attempts; no number of the result depends on it.

    Attributes:
        attempts: attempts so far, this one included.
        seconds: that the earlier ones took.
        devices: names of the devices they ran on, in order.
        processors: names of the processors that they ran on, in order.
    """

    attempts: int = 1
    seconds: float = 0.0
    devices: list[str] = field(default_factory=list)
    processors: list[str] = field(default_factory=list)

    def after(self, earlier: Notes) -> None:
        """Adds what the attempts before this one have noted, all of it or nothing."""
        together = Notes(
            max(self.attempts, earlier.attempts + 1),
            float(earlier.seconds),
            [*earlier.devices, *self.devices],
            [*earlier.processors, *self.processors],
        )
        vars(self).update(vars(together))


class Checkpointer:
    """The checkpoint of one cell, and when the next one is due.

    Args:
        path: of the file.
        identity: plain values that must be equal for a checkpoint to be taken up.
        every: epochs between checkpoints.
        seconds: between checkpoints inside an epoch.
        check_lease: raises where this process may not write for the cell any more.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        every: int,
        seconds: float,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self.path, self.identity, self.check_lease = (
            path,
            {**identity, "format": FORMAT},
            check_lease,
        )
        self.every, self.seconds = every, seconds
        self.notes = Notes()
        self.constructed: dict[str, Any] = {}
        self.tried = False
        self.began = self.saved = time.monotonic()

    def due(self) -> bool:
        """Whether one is due between two steps: so long has passed, or the process is to end."""
        return stop_requested() or time.monotonic() - self.saved >= self.seconds

    def epoch_over(self, method: Method, sets: DeviceData, state: TrainState) -> None:
        """Writes a checkpoint at the end of an epoch, if one is due."""
        finished = len(state.history)
        if finished % self.every == 0 or finished == method.task.epochs or stop_requested():
            self.save(method, sets, state)

    def save(self, method: Method, sets: DeviceData, state: TrainState) -> None:
        """Writes a checkpoint; the one before stands until this one is whole on the disk.

        Raises:
            UnrestorableState: the method holds what would not come back as it is.
            runners.system.signals.StopRequested: afterwards, in a process that was asked to end.
        """
        device = sets.train.labels.device
        seconds = self.notes.seconds + time.monotonic() - self.began
        content = {
            "identity": self.identity,
            "notes": {**asdict(self.notes), "seconds": seconds},
            "method": capture(method, self.constructed),
            "standing": vars(state),
            "clean_position": sets.clean_batches.position if sets.clean_batches else None,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        if not self.tried:
            _try_to_read(buffer.getvalue(), type(method).__name__)
            self.tried = True
        self.check_lease()
        write_checked(self.path, buffer.getvalue())
        self.saved = time.monotonic()
        if stop_requested():
            raise StopRequested

    def restore(self, method: Method, sets: DeviceData) -> TrainState | None:
        """Puts a freshly constructed method to where it was; None where there is no checkpoint.

        To be called before the first step, also where nothing is to be taken up.

        Raises:
            CheckpointMismatch: the checkpoint is damaged or foreign; `set_aside` it and make
                the method again.
        """
        self.constructed = snapshot(method)
        try:
            payload = read_checked(self.path)
        except FileNotFoundError:
            return None
        if payload is None:
            raise CheckpointMismatch("it is damaged: its checksum is wrong")
        try:
            # On the CPU: an optimiser keeps its step counts there and moves the rest itself.
            content = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            self._identify(content["identity"])
            state = self._take_up(content, method, sets)
        except UNFIT as error:
            if of_error(error, "").kind in (Kind.MEMORY, Kind.CUDA):
                raise  # of this machine and not of the checkpoint
            raise CheckpointMismatch(
                f"it cannot be read: {type(error).__name__}: {error}"
            ) from error
        logging.getLogger("cell").info(
            "resumed after epoch %d, step %d", len(state.history), state.step
        )
        return state

    def _identify(self, identity: dict[str, Any]) -> None:
        for name, value in self.identity.items():
            if identity.get(name) != value:
                raise CheckpointMismatch(
                    f"it belongs to another {name}: {identity.get(name)}, not {value}"
                )

    def _take_up(self, content: dict[str, Any], method: Method, sets: DeviceData) -> TrainState:
        """Puts everything to where it was; the notes last, which outlive a mismatch."""
        device = sets.train.labels.device
        restore(method, content["method"])
        if sets.clean_batches is not None:
            sets.clean_batches.position = int(content["clean_position"])
        torch.set_rng_state(content["random"])
        if device.type == "cuda" and content["random_cuda"] is not None:
            torch.cuda.set_rng_state(content["random_cuda"], device)
        state = TrainState(**content["standing"])
        state.totals = {name: value.to(device) for name, value in state.totals.items()}
        self.notes.after(Notes(**content["notes"]))
        return state

    def set_aside(self, reason: CheckpointMismatch) -> None:
        """Moves a checkpoint that cannot be used out of the way, and says so in the log."""
        aside = self.path.with_name(f"{self.path.name}.unusable")
        logging.getLogger("cell").warning(
            "the checkpoint is set aside as %s and the cell starts over: %s", aside.name, reason
        )
        self.path.replace(aside)

    def remove(self) -> None:
        """Removes the checkpoint, once the record is written; one that was set aside stays."""
        self.path.unlink(missing_ok=True)


def _try_to_read(payload: bytes, method: str) -> None:
    """Raises UnrestorableState where a checkpoint that was just made could not be read again."""
    try:
        torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise UnrestorableState(
            f"{method}: a checkpoint of its state_dict cannot be read again ({error}): extra state "
            "must be numbers, text, tensors and lists or dicts of them"
        ) from error
