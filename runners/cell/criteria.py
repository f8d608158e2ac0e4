"""Which epochs a criterion reports, out of the history of one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

History = Sequence[dict[str, Any]]


def tail(epochs: int) -> int:
    """How many of the last epochs `last10` is the mean of."""
    return min(epochs, 10, max(2, epochs // 4))


def chosen(history: History, key: str, warmup: int) -> dict[str, list[int] | None]:
    """Criterion -> positions in the history of the epochs that it reports the mean of.

    What chooses an epoch chooses among those after the warm-up, which is plain cross-entropy; if
    none is left, the last one. Of epochs with equal scores it takes all.

    Args:
        history: one entry an epoch.
        key: what is judged: "test", "dev", or the ensemble's "ensemble_test".
        warmup: epochs of the method's warm-up.

    Returns:
        None where a criterion cannot be applied.
    """
    count = len(history)

    def best(by: str) -> list[int] | None:
        scores = [entry[by] for entry in history]
        if None in scores:
            return None
        candidates = range(min(warmup, count - 1), count)
        top = max(scores[position] for position in candidates)
        return [position for position in candidates if scores[position] == top]

    return {
        "last": [count - 1],
        "last10": list(range(count - tail(count), count)),
        "noisy_val": best("noisy_val"),
        "clean_val": best("clean_val"),
        f"{key.removeprefix('ensemble_')}_peek": best(key),
    }


def accuracies(history: History, key: str, warmup: int) -> dict[str, dict[str, Any] | None]:
    """Accuracy under every criterion; arguments as of `chosen`.

    Returns:
        Criterion -> {"epoch": from 1, or None for a mean, "test" or "dev": accuracy}, with `tied`
        epochs where several have the best score; None where the criterion cannot be applied.
    """
    name = key.removeprefix("ensemble_")
    reported: dict[str, dict[str, Any] | None] = {}
    for criterion, positions in chosen(history, key, warmup).items():
        if positions is None:
            reported[criterion] = None
            continue
        epochs = [history[position]["epoch"] for position in positions]
        mean = float(np.mean([history[position][key] for position in positions]))
        single = len(positions) == 1 and criterion != "last10"
        reported[criterion] = {"epoch": epochs[0] if single else None, name: mean}
        if not single and criterion != "last10":
            reported[criterion]["tied"] = epochs
    return reported
