"""Where a run finds its data, leaves its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runners.results.store import StudyFolder


@dataclass(frozen=True)
class RunContext:
    """What all cells of a run have in common and no number depends on.

    Attributes:
        study: the study's folder of results.
        data_root: where data sets are looked for first.
        checkpoint_every: epochs between checkpoints.
        checkpoint_minutes: between checkpoints inside an epoch.
        cell_timeout: minutes without the end of an epoch after which a cell counts as stuck.
        keep_weights: whether the trained network of each cell stays beside its record.
        warning: what a record must tell of the place, such as a GPU that torch does not see.
        threads: intra-op threads of a worker; other than 1 only to measure what it would cost.
    """

    study: StudyFolder
    data_root: Path | None = None
    checkpoint_every: int = 1
    checkpoint_minutes: float = 10.0
    cell_timeout: float | None = None
    keep_weights: bool = False
    warning: str = ""
    threads: int = 1
