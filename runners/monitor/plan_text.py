"""What a run would do, as text: `--plan`."""

from __future__ import annotations

from runners.monitor.matrix import is_large, matrix
from runners.results.plan import Plan
from runners.results.store import State
from runners.system.console import counted
from runners.system.durations import duration


def describe(plan: Plan, workers: int, every_cell: bool = True) -> str:
    """The plan as text: a line per cell, then the sums.

    Args:
        workers: cells that run at once.
        every_cell: also where there are many, for which there is a matrix else.
    """
    in_matrix = is_large(plan) and not every_cell
    lines = matrix(plan) if in_matrix else []
    width = max(len(cell.name) for cell in plan.cells)
    for cell in () if in_matrix else plan.cells:
        state, seconds = plan.states[cell.name], plan.seconds[cell.name]
        origin = "measured" if cell.name in plan.measured else "guess"
        source = f"  {cell.origin}" if cell.hparams else ""
        time = f"{duration(seconds):>8} ({origin})"
        lines.append(f"{cell.name:<{width}}  {state:<8} {time}{source}")
    lines += _data_sets(plan)
    open_cells = plan.with_state(State.MISSING)
    total = sum(plan.seconds[cell.name] for cell in open_cells)
    lines.append(f"{counted(len(plan.cells), 'cell')}: {plan.counts()}")
    if open_cells:
        wall = total / max(1, min(workers, len(open_cells)))
        text = f"{duration(total)} of one worker, about {duration(wall)} with {workers}"
        guessed = any(cell.name not in plan.measured for cell in open_cells)
        lines.append(f"missing: {text}{' (partly a guess)' if guessed else ''}")
    return "\n".join(lines)


def _data_sets(plan: Plan) -> list[str]:
    """A line for each data set: its size, and what was decided for it."""
    lines = []
    for cell in {cell.dataset: cell for cell in plan.cells}.values():
        data, protocol = cell.data_set, cell.protocol
        test = "test" if data.n_test is None else f"{data.n_test:,} test"
        what = f"{data.n_train:,} training and {test} images, {data.classes} classes"
        how = f"{protocol['network']}, batches of {protocol['batch_size']}"
        lines += [f"{cell.dataset}: {what}", f"  {data.size}x{data.size}, {how}"]
        if data.judged_by_given:
            lines.append("  no test set of its own: a share is split off, labels may be wrong")
        if endings := getattr(data, "other_endings", ""):
            lines.append(f"  left out, no images by their ending: {endings}")
        lines += [f"  left out, cannot be read: {name}" for name in getattr(data, "left_out", ())]
    return lines
