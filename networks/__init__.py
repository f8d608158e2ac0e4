"""The registry of networks: one file a family, each network a function under its own name.

Names are read from the syntax tree, so that plans need no torch; `build` imports the family.
"""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@functools.cache
def _families() -> dict[str, Path]:
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            decorators = getattr(node, "decorator_list", [])
            if any(isinstance(d, ast.Name) and d.id == "register" for d in decorators):
                found[node.name] = path
    return found


def names() -> list[str]:
    """Names of all networks, sorted; does not import torch."""
    return sorted(_families())


def source(name: str) -> Path:
    """The file of the family that a network belongs to."""
    return _families()[name]


def build(name: str, channels: int, size: int, classes: int) -> nn.Module:
    """A new network with initial weights from torch's global random stream.

    Args:
        name: one of `names()`.
        channels, size: of the square input images, (B, channels, size, size).
        classes: width of the output.

    Returns:
        A `networks.base.Network`: `network(images)` gives logits (B, classes),
        `network.features(images)` the penultimate features (B, network.feature_width).

    Raises:
        KeyError: no network of that name.
    """
    module = importlib.import_module(f"networks.{_families()[name].stem}")
    return getattr(module, name)(channels, size, classes)
