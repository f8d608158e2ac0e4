"""What a method is and what it is given: `Method`, `Task`, `Batch`, and the warm-up many share.

A method's file imports from here; nothing here knows any particular method.
"""

from methods.base.method import (
    Batch,
    LossMethod,
    Method,
    Task,
    epochs_of_share,
    outputs_in_order,
    overrides,
    register,
    set_learning_rate,
    uploaded,
)
from methods.base.sampler import Sampler

__all__ = [
    "Batch",
    "LossMethod",
    "Method",
    "Sampler",
    "Task",
    "epochs_of_share",
    "outputs_in_order",
    "overrides",
    "register",
    "set_learning_rate",
    "uploaded",
]
