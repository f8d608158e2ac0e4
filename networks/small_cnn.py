"""A strided CNN that trains in seconds on one CPU thread; the network of the default study."""

from __future__ import annotations

from torch import nn

from networks.base import Network, register

WIDTHS = (16, 32, 64)
FEATURES = 128


@register
def small_cnn(channels: int, size: int, classes: int) -> Network:
    """Three times [3x3 convolution, stride 2, BN, ReLU], then linear 128, BN, ReLU (features)."""
    layers: list[nn.Module] = []
    for width in WIDTHS:
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(inplace=True)]
        channels, size = width, (size + 1) // 2
    layers += [nn.Flatten(), nn.Linear(channels * size * size, FEATURES)]
    layers += [nn.BatchNorm1d(FEATURES), nn.ReLU(inplace=True)]
    return Network(nn.Sequential(*layers), FEATURES, classes)
