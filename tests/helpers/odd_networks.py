"""Small networks of odd kinds, which a trace does not see or like: 3 x 8 x 8 images, 4 classes."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES, WIDTH = 4, 6


def plain(*middle: nn.Module, width: int = WIDTH) -> nn.Sequential:
    """A small convolutional network around some layers, which keep (WIDTH, 8, 8)."""
    head = [nn.Flatten(), nn.LazyLinear(CLASSES)]
    return nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), *middle, *head)


class Around(nn.Module):
    """A convolution, what a function makes of it and the images, and a linear layer.

    Args:
        function: (module itself, features (B, WIDTH, 8, 8), images) -> (B, anything).
        parts: further modules, as attributes.
    """

    def __init__(self, function: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.function, self.calls = function, 0
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH))
        for name, part in parts.items():
            setattr(self, name, part)
        self.head = nn.LazyLinear(CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.head(self.function(self, self.stem(x), x).flatten(1))


class Reversed(torch.autograd.Function):
    """Reversal of the gradient (Ganin and Lempitsky, 2015)."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return -0.5 * gradient


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return gradient


class Offset(nn.Module):
    """A learned offset on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.randn(3, 1, 1))
        self.rest = plain(nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(x + self.offset)


class Tied(nn.Module):
    """One linear layer, used twice, whose weight a second one shares."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(192, 192), nn.Linear(192, 192)
        self.second.weight = self.first.weight
        self.head = nn.Linear(192, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1)).tanh()
        return self.head(self.second(self.first(x)).tanh())


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.cells, self.head = kind(24, 12, batch_first=True), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x.transpose(1, 2).flatten(2))[0][:, -1])


class Attention(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(24, 2, 32, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x.transpose(1, 2).flatten(2)).mean(1))


def dense(self: Around, h: Tensor, _: Tensor) -> Tensor:
    for layer in self.layers:
        h = torch.cat([h, layer(h).relu()], 1)
    return h


def added_in_place(self: Around, h: Tensor, _: Tensor) -> Tensor:
    kept = self.second(h)
    h = h * 1.0
    h += kept
    return F.relu(h) + kept


def in_place_on_an_alias(self: Around, h: Tensor, _: Tensor) -> Tensor:
    h = h + 0.1
    flat = h.view(len(h), -1)
    F.relu_(flat)
    return self.second(h).flatten(1) + flat


def quiet_statistics(self: Around, h: Tensor, _: Tensor) -> Tensor:
    with torch.no_grad():
        scale = h.std() + 1
    return F.relu(h / scale)


def changing(self: Around, h: Tensor, _: Tensor) -> Tensor:
    """Another activation from the third pass on: an attribute that a trace would freeze."""
    return F.relu(h) if self.calls < 4 else F.silu(h)


def python_depth(self: Around, h: Tensor, _: Tensor) -> Tensor:
    return h + self.second(h).relu() if random.random() < 0.5 else h.relu()


def numpy_depth(self: Around, h: Tensor, _: Tensor) -> Tensor:
    return h + float(np.random.rand()) * self.second(h).relu()  # noqa: NPY002


def counted(self: Around, h: Tensor, _: Tensor) -> Tensor:
    self.steps.add_(1)
    return h.relu() * (1 + 0.1 * self.steps)


class Counted(Around):
    def __init__(self) -> None:
        super().__init__(counted)
        self.register_buffer("steps", torch.zeros(()))


class Running(Around):
    """Normalises by a running mean of its own, which it moves in training."""

    def __init__(self) -> None:
        super().__init__(self.normalised)
        self.register_buffer("mean", torch.zeros(WIDTH, 1, 1))

    @staticmethod
    def normalised(self, h: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean.lerp_(h.mean((0, 2, 3))[:, None, None], 0.1)
        return (h - self.mean).relu()


def hooked(kind: str) -> nn.Module:
    network = plain(nn.ReLU())
    if kind == "forward":
        network[0].register_forward_hook(lambda module, given, output: 0.5 * output.tanh())
    else:
        network[3].register_full_backward_hook(lambda module, given, output: (2 * given[0],))
    return network


def frozen() -> nn.Module:
    network = plain(nn.ReLU())
    network[0].requires_grad_(False)
    return network


def second() -> nn.Module:
    return nn.Conv2d(WIDTH, WIDTH, 3, padding=1)


def plain_tail() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Flatten(), nn.LazyLinear(CLASSES))


def evaluating() -> nn.Module:
    """A BatchNorm that stays in eval mode, as in fine-tuning."""
    network = plain(nn.ReLU())
    network[1].train = lambda mode=True: network[1]
    network[1].training = False
    return network
