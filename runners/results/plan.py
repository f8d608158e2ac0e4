"""What a run would do: every cell with its state and how long it may take. Imports no torch."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import methods
from runners.results import provenance
from runners.results.job import Job
from runners.results.leases import LeaseInfo
from runners.results.sources import data_stamp, sources
from runners.results.store import CellStatus, State, StudyFolder, with_stamp
from runners.study.cell import Cell

SECONDS_PER_IMAGE = {
    "small_cnn": 1.2e-4,
    "cnn8": 7e-3,
    "resnet18": 3e-2,
    "resnet32": 8e-3,
    "resnet34": 6e-2,
}
"""Cross-entropy, one training image, one CPU thread: a guess where nothing was measured yet."""

OTHER_NETWORK = 1e-2


class Fingerprints:
    """Fingerprints of today's code and data, one computation for all cells with the same ones.

    Args:
        root: where data sets are looked for first.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._code: dict[tuple[str, ...], str] = {}
        self._data: dict[tuple[str, ...], str | None] = {}
        self._whole: dict[tuple[str, ...], str] = {}

    def __getitem__(self, cell: Cell) -> str:
        # In one study a label stands for one data set, and a slug for one noise.
        data = cell.dataset, cell.noise_slug, cell.protocol["network"]
        where = (*data, cell.method)
        if where not in self._whole:
            inside = str([cell.noise.get(name) for name in ("name", "noise", "from")])
            parts = (cell.method, cell.protocol["network"], cell.dataset_name, inside)
            if parts not in self._code:
                self._code[parts] = provenance.fingerprint(sources(cell))
            if data not in self._data:
                self._data[data] = data_stamp(cell, self.root)
            self._whole[where] = with_stamp(self._code[parts], self._data[data])
        return self._whole[where]


@dataclass(frozen=True)
class Plan:
    """Cells with their states and estimated seconds.

    Attributes:
        statuses: cell name -> what its files say.
        leases: cell name -> who runs it, for the cells that are being run.
        states: cell name -> state; RUNNING for the cells that are being run, unless SUSPENDED.
        seconds: cell name -> estimated duration.
        measured: names of the cells whose estimate comes from finished neighbours.
        fingerprints: of today's code and data, by cell.
        queue: cell name -> what SLURM's queue adds, for submitted cells that have not ended.
        warnings: sentences on what could not be read.
    """

    cells: Sequence[Cell]
    statuses: Mapping[str, CellStatus]
    leases: Mapping[str, LeaseInfo]
    seconds: Mapping[str, float]
    measured: frozenset[str]
    fingerprints: Fingerprints
    queue: Mapping[str, CellStatus] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @cached_property
    def states(self) -> dict[str, State]:
        states = {name: self.shown(name).state for name in self.statuses}
        # A task that was suspended keeps its lease.
        running = [name for name in self.leases if states[name] != State.SUSPENDED]
        return states | dict.fromkeys(running, State.RUNNING)

    def shown(self, name: str) -> CellStatus:
        """What is known of a cell, leases apart: the queue's word, else that of its files."""
        return self.queue.get(name, self.statuses[name])

    def with_state(self, *wanted: State) -> list[Cell]:
        """The cells in one of these states, in the order of the grid."""
        return [cell for cell in self.cells if self.states[cell.name] in wanted]

    def jobs(
        self, wanted: Callable[[CellStatus], bool], retries: int = 0, with_queue: bool = False
    ) -> list[Job]:
        """The cells whose files are `wanted`, longest first, so that no long one is left at last.

        Those that somebody else is running are among them, unless `with_queue`: then the queue's
        word counts before the files', and what runs anywhere is left alone.
        """
        chosen = [
            cell
            for cell in self.cells
            if wanted(self.shown(cell.name) if with_queue else self.statuses[cell.name])
            and not (with_queue and cell.name in self.leases)
        ]
        return [
            Job(cell, self.statuses[cell.name].version, self.fingerprints[cell], retries)
            for cell in sorted(chosen, key=lambda cell: -self.seconds[cell.name])
        ]

    def run_by_others(self, wanted: Callable[[CellStatus], bool], retries: int = 0) -> list[Job]:
        """The cells that somebody else is running although their files are not `wanted` here.

        For example those that failed and are tried again by a runner with --retry-failed.
        """
        unwanted = self.jobs(lambda status: not wanted(status), retries)
        return [job for job in unwanted if job.cell.name in self.leases]

    def counts(self) -> str:
        """For example "60 missing, 3 done"."""
        counted = Counter(self.states.values())
        return ", ".join(f"{counted[state]} {state}" for state in State if counted[state])


def make_plan(cells: Sequence[Cell], study: StudyFolder) -> Plan:
    """Reads the states of cells from their files and estimates their durations."""
    fingerprints = Fingerprints(study.data_root)
    leases = study.leases.live()
    statuses, times = {}, defaultdict(list)
    neighbourhoods = {}
    for cell in cells:
        neighbourhoods[cell.name] = cell.dataset, cell.method  # of one protocol in a study
        status = study.cell(cell.name).status(fingerprints[cell])
        statuses[cell.name] = status
        if status.seconds is not None:
            times[neighbourhoods[cell.name]].append(status.seconds)
    medians = {where: statistics.median(seconds) for where, seconds in times.items()}
    measured = frozenset(name for name, where in neighbourhoods.items() if where in medians)
    seconds = {}
    for cell in cells:
        median = medians.get(neighbourhoods[cell.name])
        seconds[cell.name] = guess(cell) if median is None else median
    # Leases were read first: a cell that is done has ended since, whatever its lease said.
    leases = {n: c for n, c in leases.items() if n in statuses and statuses[n].state != State.DONE}
    return Plan(cells, statuses, leases, seconds, measured, fingerprints)


def guess(cell: Cell) -> float:
    """Seconds on one CPU thread, from the sizes and the method's declared cost."""
    per_image = SECONDS_PER_IMAGE.get(cell.protocol["network"], OTHER_NETWORK)
    images = cell.data_set.n_train * cell.protocol["epochs"]
    return 1 + images * per_image * methods.declaration(cell.method).cost
