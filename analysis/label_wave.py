"""The reported epoch without any validation set: where predictions on training images settle.

Yuan, Feng and Liu, "Early Stopping Against Label Noise Without Validation Data" (ICLR 2025,
arXiv 2502.07551): while a network learns what is right, fewer and fewer predictions on the training
images change from one epoch to the next; once it begins to fit wrong labels, more do. The epoch
before that is the first local minimum of a moving average of the changes.

What is approximate here: changes are counted on the fixed sample of training images that a record
follows, not on all; training is not stopped, so the learning rate has the schedule of the whole
run; with cosine decay the changes may fall to the end, and then the last epoch is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NAME = "label_wave"
WINDOW = 3
"""Epochs of the moving average, the last of which is the reported one."""

WORDS = (
    f"epoch of the first minimum of the changed predictions (mean of {WINDOW} epochs, a fixed "
    "sample of training images, after the warm-up), else the last"
)


def position(record: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> int | None:
    """Position of the reported epoch among the lines of a record's epochs.

    Args:
        record: says whether there was a warm-up, by the accuracy at its end.
        epochs: its lines, of which `changed_predictions` and `test` are read.

    Returns:
        The first epoch whose average is below that of the next one; the last epoch where none is.
        None where changes were not counted.
    """
    start = _warmup(record, epochs)
    changes = [line.get("changed_predictions") for line in epochs]
    first = max(start, 1)  # of the first epoch nothing can have changed
    known = changes[first:]
    if not known or not all(isinstance(count, int | float) for count in known):
        return None
    if len(known) < WINDOW:
        return len(epochs) - 1
    averages = np.convolve(known, np.full(WINDOW, 1 / WINDOW), mode="valid")
    rising = np.flatnonzero(averages[:-1] < averages[1:])
    place = int(rising[0]) if len(rising) else len(averages) - 1
    return first + place + WINDOW - 1


def _warmup(record: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]) -> int:
    """Number of epochs of the warm-up.

    A record holds the accuracy at its end, not its length: the last epoch with that accuracy is
    taken, so that no epoch of the warm-up counts.
    """
    accuracy = record.get("end_of_warmup")
    if accuracy is None:
        return 0
    equal = [number for number, line in enumerate(epochs, start=1) if line.get("test") == accuracy]
    return equal[-1] if equal else 0
