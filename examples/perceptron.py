"""A network from outside: `protocol: {network: examples.perceptron:perceptron}`."""

from __future__ import annotations

from torch import nn

from networks.base import Network


def perceptron(channels: int, size: int, classes: int) -> Network:
    """Two hidden layers; features are the 32 activations of the second."""
    body = nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * size * size, 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
    )
    return Network(body, 32, classes)
