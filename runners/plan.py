"""What a run would do: every cell with its state and how long it may take. Imports no torch."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import datasets
import methods
from runners import provenance
from runners.backlog import Job
from runners.canonical import canonical
from runners.grid import Cell
from runners.leases import Claim
from runners.sources import sources
from runners.store import Sight, State, StudyFolder

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
    """Fingerprints of today's code, one computation for all cells with the same sources."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], str] = {}

    def __getitem__(self, cell: Cell) -> str:
        parts = (cell.method, cell.protocol["network"], cell.dataset, cell.noise["name"])
        if parts not in self._known:
            self._known[parts] = provenance.fingerprint(sources(cell))
        return self._known[parts]


@dataclass(frozen=True)
class Plan:
    """Cells with their states and estimated seconds.

    Attributes:
        sights: cell name -> what its files say.
        claims: cell name -> who runs it, for the cells that are being run.
        states: cell name -> state; RUNNING for the cells that are being run, unless SUSPENDED.
        seconds: cell name -> estimated duration.
        measured: names of the cells whose estimate comes from finished neighbours.
        fingerprints: of today's code, by cell.
        queue: cell name -> what SLURM's queue adds, for submitted cells that have not ended.
        warnings: sentences on what could not be read.
    """

    cells: Sequence[Cell]
    sights: Mapping[str, Sight]
    claims: Mapping[str, Claim]
    seconds: Mapping[str, float]
    measured: frozenset[str]
    fingerprints: Fingerprints
    queue: Mapping[str, Sight] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @cached_property
    def states(self) -> dict[str, State]:
        states = {name: self.shown(name).state for name in self.sights}
        # A task that was suspended keeps its lease.
        running = [name for name in self.claims if states[name] != State.SUSPENDED]
        return states | dict.fromkeys(running, State.RUNNING)

    def shown(self, name: str) -> Sight:
        """What is known of a cell, leases apart: the queue's word, else that of its files."""
        return self.queue.get(name, self.sights[name])

    def with_state(self, *wanted: State) -> list[Cell]:
        """The cells in one of these states, in the order of the grid."""
        return [cell for cell in self.cells if self.states[cell.name] in wanted]

    def jobs(
        self, wanted: Callable[[Sight], bool], retries: int = 0, with_queue: bool = False
    ) -> list[Job]:
        """The cells whose files are `wanted`, longest first, so that no long one is left at last.

        Those that somebody else is running are among them, unless `with_queue`: then the queue's
        word counts before the files', and what runs anywhere is left alone.
        """
        chosen = [
            cell
            for cell in self.cells
            if wanted(self.shown(cell.name) if with_queue else self.sights[cell.name])
            and not (with_queue and cell.name in self.claims)
        ]
        return [
            Job(cell, self.sights[cell.name].mark, self.fingerprints[cell], retries)
            for cell in sorted(chosen, key=lambda cell: -self.seconds[cell.name])
        ]

    def run_by_others(self, wanted: Callable[[Sight], bool], retries: int = 0) -> list[Job]:
        """The cells that somebody else is running although their files are not `wanted` here.

        For example those that failed and are tried again by a runner with --retry-failed.
        """
        unwanted = self.jobs(lambda sight: not wanted(sight), retries)
        return [job for job in unwanted if job.cell.name in self.claims]

    def counts(self) -> str:
        """For example "60 missing, 3 done"."""
        counted = Counter(self.states.values())
        return ", ".join(f"{counted[state]} {state}" for state in State if counted[state])


def make_plan(cells: Sequence[Cell], study: StudyFolder) -> Plan:
    """Reads the states of cells from their files and estimates their durations."""
    fingerprints = Fingerprints()
    claims = study.leases.live()
    sights, times = {}, defaultdict(list)
    neighbourhoods = {}
    for cell in cells:
        neighbourhoods[cell.name] = _neighbourhood(cell)
        sight = study.cell(cell.name).sight(fingerprints[cell])
        sights[cell.name] = sight
        if sight.seconds is not None:
            times[neighbourhoods[cell.name]].append(sight.seconds)
    medians = {where: statistics.median(seconds) for where, seconds in times.items()}
    measured = frozenset(name for name, where in neighbourhoods.items() if where in medians)
    seconds = {}
    for cell in cells:
        median = medians.get(neighbourhoods[cell.name])
        seconds[cell.name] = guess(cell) if median is None else median
    # Leases were read first: a cell that is done has ended since, whatever its lease said.
    claims = {n: c for n, c in claims.items() if n in sights and sights[n].state != State.DONE}
    return Plan(cells, sights, claims, seconds, measured, fingerprints)


def _neighbourhood(cell: Cell) -> tuple[str, str, str]:
    return cell.dataset, cell.method, canonical(cell.protocol)


def guess(cell: Cell) -> float:
    """Seconds on one CPU thread, from the sizes and the method's declared cost."""
    per_image = SECONDS_PER_IMAGE.get(cell.protocol["network"], OTHER_NETWORK)
    images = datasets.get(cell.dataset).n_train * cell.protocol["epochs"]
    return 1 + images * per_image * methods.declaration(cell.method).cost


def describe(plan: Plan, workers: int) -> str:
    """The plan as text: a line per cell, then the sums."""
    lines = []
    width = max(len(cell.name) for cell in plan.cells)
    for cell in plan.cells:
        state, seconds = plan.states[cell.name], plan.seconds[cell.name]
        origin = "measured" if cell.name in plan.measured else "guess"
        source = f"  {cell.hparams_source}" if cell.hparams else ""
        time = f"{duration(seconds):>8} ({origin})"
        lines.append(f"{cell.name:<{width}}  {state:<8} {time}{source}")
    open_cells = plan.with_state(State.MISSING)
    total = sum(plan.seconds[cell.name] for cell in open_cells)
    lines.append(f"{len(plan.cells)} cells: {plan.counts()}")
    if open_cells:
        wall = total / max(1, min(workers, len(open_cells)))
        text = f"{duration(total)} of one worker, about {duration(wall)} with {workers}"
        guessed = any(cell.name not in plan.measured for cell in open_cells)
        lines.append(f"missing: {text}{' (partly a guess)' if guessed else ''}")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use: "45 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
