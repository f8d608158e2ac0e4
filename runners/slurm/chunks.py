"""Cells into tasks, tasks into job arrays, and how long a task takes. Pure functions."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SIMILAR = 3.0
"""Within a task no cell takes more than this many times as long as another.

Fast cells that share a task with slow ones would wait for them at every requeue.
"""


@dataclass(frozen=True)
class Work:
    """A cell as far as its place in a task depends on it.

    Attributes:
        cell: name of the cell.
        dataset: cells of one data set share a task, which loads it once.
        seconds: estimated duration, at least 0.
    """

    cell: str
    dataset: str
    seconds: float


Task = tuple[Work, ...]


def make_tasks(works: Iterable[Work], cells_per_task: int | None, at_once: int) -> list[Task]:
    """Every cell in exactly one task, the longest task first.

    Args:
        works: the cells.
        cells_per_task: the most cells of a task; None: as many as run at once.
        at_once: cells that run at once in a task.
    """
    most = cells_per_task or at_once
    by_dataset: dict[str, list[Work]] = {}
    for work in sorted(works, key=lambda work: (-work.seconds, work.cell)):
        by_dataset.setdefault(work.dataset, []).append(work)
    runs = [run for sorted_works in by_dataset.values() for run in _similar(sorted_works)]
    tasks = [task for run in runs for task in _even(run, most)]
    return sorted(tasks, key=lambda task: -task_seconds(task, at_once))


def make_arrays(tasks: Sequence[Task], most: int) -> list[tuple[Task, ...]]:
    """Tasks in their order, in as few arrays as can be, none with more than `most` elements."""
    return _even(tasks, most)


def array_limit(max_array_size: int) -> int:
    """The most elements of one array.

    Args:
        max_array_size: the cluster's MaxArraySize; 0 and 1 mean that it has no arrays.
    """
    return max(1, max_array_size - 1)


def task_seconds(task: Task, at_once: int) -> float:
    """Estimated duration of a task: each cell starts when one of the slots is free."""
    slots = [0.0] * min(at_once, len(task))
    for work in task:
        heapq.heapreplace(slots, slots[0] + work.seconds)
    return max(slots)


def _similar(works: Sequence[Work]) -> list[list[Work]]:
    """Runs of similar duration out of works that are sorted, longest first."""
    runs: list[list[Work]] = []
    for work in works:
        if runs and runs[-1][0].seconds <= SIMILAR * work.seconds:
            runs[-1].append(work)
        else:
            runs.append([work])
    return runs


def _even(items: Sequence, most: int) -> list[tuple]:
    """Parts of `items` in their order, as few as can be, whose sizes differ by at most one."""
    parts = -(-len(items) // most)
    size, longer = divmod(len(items), max(1, parts))
    starts = [part * size + min(part, longer) for part in range(parts + 1)]
    return [tuple(items[start:end]) for start, end in itertools.pairwise(starts)]
