"""A cell that is to be run."""

from __future__ import annotations

from dataclasses import dataclass

from runners.results.store import State
from runners.study.cell import Cell


@dataclass(frozen=True)
class Job:
    """A cell to run.

    Attributes:
        version: how its files looked when that was decided (`CellStatus.version`); a worker that
            finds them changed leaves the cell alone.
        fingerprint: of today's code, which tells done from stale.
        retries: how often it is run again after a failure that may pass by itself, here or at
            another runner.
        crowded: whether other cells may run on its device at the same time; if memory runs out
            then, that is no failure of the cell.
    """

    cell: Cell
    version: tuple[State, int]
    fingerprint: str
    retries: int = 0
    crowded: bool = False
