"""The 8-layer CIFAR CNN of the MetaLabelNet paper's code (Algan & Ulusoy, arXiv 2103.10869).

Written from the published layer sizes; 1,639,794 parameters for 3x32x32 images and 10 classes.
"""

from __future__ import annotations

from torch import nn

from networks.base import Network, kaiming_convolutions, register

WIDTHS = (64, 128, 196)
FEATURES = 256


@register
def cnn8(channels: int, size: int, classes: int) -> Network:
    """Three blocks of two 3x3 convolutions (BN, ReLU) and a 2x2 max-pool, then linear 256 (BN)."""
    layers: list[nn.Module] = []
    for width in WIDTHS:
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
            layers += [nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
        size //= 2
    layers += [nn.Flatten(), nn.Linear(channels * size * size, FEATURES)]
    layers += [nn.BatchNorm1d(FEATURES), nn.ReLU(inplace=True)]
    network = Network(nn.Sequential(*layers), FEATURES, classes)
    kaiming_convolutions(network)
    return network
