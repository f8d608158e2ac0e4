"""The networks: one file a family, each network a function under its own name.

Names are read from the syntax tree, so that plans need no torch; `build` imports the family.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from datasets.files import DataError
from datasets.registry import Registry
from networks.weights import PREFIX, weights_file

if TYPE_CHECKING:
    from torch import nn


def _problem(entry: Any) -> str | None:
    return None if callable(entry) else "must be a function (channels, size, classes) -> network"


class _Networks(Registry):
    """The files of the folder, and `pretrained:NAME`."""

    def has(self, name: str) -> bool:
        return super().has(name) or name.startswith(PREFIX)

    def source(self, name: str) -> Path:
        own = Path(__file__).parent / "pretrained.py"
        return own if name.startswith(PREFIX) else super().source(name)


REGISTRY = _Networks("a network", Path(__file__).parent, "networks", _problem)
names, source = REGISTRY.names, REGISTRY.source


def build(name: str, channels: int, size: int, classes: int) -> nn.Module:
    """A new network with initial weights from torch's global random stream.

    Args:
        name: one of `names()`, `pretrained:NAME` or `package.module:function`.
        channels, size: of the square input images, (B, channels, size, size).
        classes: width of the output.

    Returns:
        A `networks.base.Network`: `network(images)` gives logits (B, classes),
        `network.features(images)` the penultimate features (B, network.feature_width).

    Raises:
        KeyError: no network of that name.
        ImportError: one from outside cannot be imported.
        DataError: weights of a pretrained one are not there.
    """
    if name.startswith(PREFIX):
        from networks.pretrained import pretrained  # brings torchvision

        return pretrained(name, channels, classes)
    return REGISTRY.load(name)(channels, size, classes)


NEEDED = MappingProxyType({"inception_resnet_v2": "timm"})
"""Network -> the package that it is made by, which the suite does not install."""


def stamp(name: str) -> str:
    """What a network is made of beside the suite's code: a file of weights, a package; else empty.

    Raises:
        DataError: it is not there.
    """
    if name.startswith(PREFIX):
        return weights_file(name).name
    if name not in NEEDED:
        return ""
    package = NEEDED[name]
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError as error:
        how = f"pip install {package}"
        raise DataError(f"network {name} needs {package}, which is not installed: {how}") from error
