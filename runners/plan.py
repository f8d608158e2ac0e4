"""What a run would do: every cell with its state and how long it may take. Imports no torch."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import datasets
import methods
from runners import provenance
from runners.grid import Cell
from runners.sources import sources
from runners.store import State, StudyFolder, canonical

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
        files = tuple(sources(cell))
        if files not in self._known:
            self._known[files] = provenance.fingerprint(files)
        return self._known[files]


@dataclass(frozen=True)
class Plan:
    """Cells with their states and estimated seconds.

    Attributes:
        states: cell name -> state.
        seconds: cell name -> estimated duration.
        measured: names of the cells whose estimate comes from finished neighbours.
    """

    cells: Sequence[Cell]
    states: Mapping[str, State]
    seconds: Mapping[str, float]
    measured: frozenset[str]

    def with_state(self, *wanted: State) -> list[Cell]:
        """The cells in one of these states, longest first, so that no long one is left at last."""
        chosen = [cell for cell in self.cells if self.states[cell.name] in wanted]
        return sorted(chosen, key=lambda cell: -self.seconds[cell.name])

    def counts(self) -> str:
        """For example "60 missing, 3 done"."""
        counted = Counter(self.states.values())
        return ", ".join(f"{counted[state]} {state}" for state in State if counted[state])


def make_plan(cells: Sequence[Cell], study: StudyFolder) -> Plan:
    """Reads the states of cells from their files and estimates their durations."""
    fingerprints = Fingerprints()
    states, times = {}, defaultdict(list)
    for cell in cells:
        folder = study.cell(cell.name)
        states[cell.name] = folder.state(fingerprints[cell])
        if states[cell.name] in (State.DONE, State.STALE):
            times[_neighbourhood(cell)].append(folder.read_record()["timing"]["total_s"])
    seconds, measured = {}, set()
    for cell in cells:
        neighbours = times.get(_neighbourhood(cell))
        if neighbours:
            measured.add(cell.name)
        seconds[cell.name] = statistics.median(neighbours) if neighbours else guess(cell)
    return Plan(cells, states, seconds, frozenset(measured))


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
