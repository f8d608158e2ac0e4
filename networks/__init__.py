"""The networks: one file a family, each network a function under its own name.

Names are read from the syntax tree, so that plans need no torch; `build` imports the family.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.registry import Registry

if TYPE_CHECKING:
    from torch import nn


def _problem(entry: Any) -> str | None:
    return None if callable(entry) else "must be a function (channels, size, classes) -> network"


REGISTRY = Registry("a network", Path(__file__).parent, "networks", _problem)
names, source = REGISTRY.names, REGISTRY.source


def build(name: str, channels: int, size: int, classes: int) -> nn.Module:
    """A new network with initial weights from torch's global random stream.

    Args:
        name: one of `names()`, or `package.module:function`.
        channels, size: of the square input images, (B, channels, size, size).
        classes: width of the output.

    Returns:
        A `networks.base.Network`: `network(images)` gives logits (B, classes),
        `network.features(images)` the penultimate features (B, network.feature_width).

    Raises:
        KeyError: no network of that name.
        ImportError: one from outside cannot be imported.
    """
    return REGISTRY.load(name)(channels, size, classes)
