"""What a method says of itself (name, privileges, hyper-parameters), readable without torch.

Plans and tables need it long before, and on machines where, a method's code cannot be imported.
"""

from methods.declaration.declaration import (
    Choice,
    Declaration,
    Hyperparameters,
    LogUniform,
    Privileges,
    Uniform,
    hparam,
    read,
)

__all__ = [
    "Choice",
    "Declaration",
    "Hyperparameters",
    "LogUniform",
    "Privileges",
    "Uniform",
    "hparam",
    "read",
]
