"""Many cells at a glance: methods in rows, settings in columns, seeds counted."""

from __future__ import annotations

from collections import Counter, defaultdict

from runners.results.plan import Plan
from runners.results.store import State

MOST_LINES = 30
"""Cells that are shown one a line; of more there is a matrix."""

WIDTH = 100
SHORTEST_NUMBERED = 24
"""Length of a setting's name from which columns have numbers instead."""

MARKS = {
    State.FAILED: "!",
    State.LOST: "?",
    State.DAMAGED: "#",
    State.STALE: "~",
    State.RUNNING: ">",
    State.QUEUED: "+",
    State.REQUEUED: "+",
    State.SUSPENDED: "+",
}
"""What is put behind the count of a place where any cell is in that state."""


def is_large(plan: Plan) -> bool:
    """Whether there are too many cells for a line each."""
    return len(plan.cells) > MOST_LINES


def matrix(plan: Plan) -> list[str]:
    """Lines of a table: for each method and setting the finished cells of all seeds, with marks.

    A cell counts as finished where it is done or stale.
    """
    places: dict[tuple[str, str], Counter[State]] = defaultdict(Counter)
    one_dataset = len({cell.dataset for cell in plan.cells}) == 1
    for cell in plan.cells:
        setting = cell.noise_slug if one_dataset else f"{cell.dataset} {cell.noise_slug}"
        places[cell.label, setting][plan.states[cell.name]] += 1
    labels = list(dict.fromkeys(label for label, _ in places))
    settings = list(dict.fromkeys(setting for _, setting in places))
    legend: list[str] = []
    heads = settings
    if max(map(len, settings)) >= SHORTEST_NUMBERED:
        heads = [f"[{number}]" for number in range(1, len(settings) + 1)]
        legend = [f"{head} {setting}" for head, setting in zip(heads, settings, strict=True)]
    texts = {place: _text(states) for place, states in places.items()}
    margin = max(map(len, labels))
    width = 2 + max(map(len, [*heads, *texts.values()]))
    per_block = max(1, (WIDTH - margin) // width)
    lines: list[str] = []
    for start in range(0, len(settings), per_block):
        part = slice(start, start + per_block)
        lines.append(" " * margin + "".join(f"{head:>{width}}" for head in heads[part]))
        for label in labels:
            row = (texts.get((label, setting), "") for setting in settings[part])
            lines.append(f"{label:<{margin}}" + "".join(f"{text:>{width}}" for text in row))
        lines.append("")
    return [*lines[:-1], *legend, *_signs(plan)]


def _text(states: Counter[State]) -> str:
    """For example "3/5!": three of five seeds are finished, another one has failed."""
    finished = states[State.DONE] + states[State.STALE]
    marks = dict.fromkeys(mark for state, mark in MARKS.items() if states[state])
    return f"{finished}/{states.total()}{''.join(marks)}"


def _signs(plan: Plan) -> list[str]:
    """What the marks mean, of those that are there."""
    present = set(plan.states.values())
    meanings: dict[str, list[str]] = defaultdict(list)
    for state, mark in MARKS.items():
        if state in present:
            meanings[mark].append(state)
    signs = [f"{mark} {' or '.join(states)}" for mark, states in meanings.items()]
    return [", ".join(["finished/all seeds", *signs, "every cell: --cells"])]
