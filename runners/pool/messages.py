"""What is told of a cell: by a worker to its runner, by the runner to what shows the progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runners.results.failures import Failure
from runners.results.store import CellStatus


@dataclass(frozen=True)
class Message:
    """Something that happened to the cell `name`."""

    name: str


@dataclass(frozen=True)
class Started(Message):
    """A worker was given the cell."""


@dataclass(frozen=True)
class EpochOver(Message):
    """An epoch of the cell is over, counted from 1."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class Done(Message):
    """The record is written; accuracy of the last epoch in [0, 1], seconds of all attempts."""

    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Failed(Message):
    """The attempt failed and `failed.json` is written."""

    failure: Failure


@dataclass(frozen=True)
class RunningElsewhere(Message):
    """Another process runs the cell."""


@dataclass(frozen=True)
class EndedElsewhere(Message):
    """Another process has ended the cell; `status` is what its files say now, once it was read."""

    status: CellStatus | None = None


@dataclass(frozen=True)
class OutOfMemory(Message):
    """Memory ran out beside other cells on the same device: no failure of the cell."""


@dataclass(frozen=True)
class Stopped(Message):
    """The worker was asked to end and has written a checkpoint."""


@dataclass(frozen=True)
class DiskFull(Message):
    """Nothing more can be written, or the study's folder cannot be used; `sentence` says why."""

    sentence: str


@dataclass(frozen=True)
class Retried(Message):
    """The cell will be run again, because of `reason`."""

    reason: str


@dataclass(frozen=True)
class FewerWorkers(Message):
    """Memory ran out, so that the device continues with so many workers."""

    workers: int


Report = Callable[[Message], None]
