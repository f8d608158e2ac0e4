"""The learning rate of an epoch, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def learning_rate(protocol: Mapping[str, Any], epoch: int) -> float:
    """The learning rate that holds during one whole epoch.

    Args:
        protocol: a cell's resolved protocol (`lr`, `epochs`, `schedule`, `milestones`, `gamma`).
        epoch: counted from 0.
    """
    lr, milestones = protocol["lr"], protocol["milestones"]
    match protocol["schedule"]:
        case "cosine":
            return lr * 0.5 * (1 + math.cos(math.pi * epoch / protocol["epochs"]))
        case "step":
            return lr * protocol["gamma"] ** sum(epoch >= milestone for milestone in milestones)
        case "linear":
            start = min(milestones[0], protocol["epochs"] - 1)
            return lr * min(1.0, (protocol["epochs"] - epoch) / (protocol["epochs"] - start))
        case _:
            return lr
