"""What every network keeps to."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from methods.lookahead.traced import trace
from runners.cell.record import weights_sha256


@dataclass(frozen=True)
class NetworkSubject:
    """A builder of networks and the images that they are for."""

    build: Callable[[int, int, int], nn.Module]
    channels: int = 3
    size: int = 32
    classes: int = 10

    def new(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.build(self.channels, self.size, self.classes)

    def images(self, count: int = 4) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return torch.randn(count, self.channels, self.size, self.size, generator=generator)


def gives_logits(subject: NetworkSubject) -> str | None:
    """It gives one logit a class."""
    with torch.no_grad():
        shape = tuple(subject.new().eval()(subject.images()).shape)
    expected = (4, subject.classes)
    return None if shape == expected else f"the output is {shape}: must be (B, C) = {expected}"


def serves_features(subject: NetworkSubject) -> str | None:
    """Its logits are linear in the features that it serves."""
    network = subject.new().eval()
    lacking = [n for n in ("features", "feature_width", "head") if not hasattr(network, n)]
    if lacking:
        return f"it has no {', '.join(lacking)}: must be a networks.base.Network or like one"
    with torch.no_grad():
        features = network.features(subject.images())
        logits = network(subject.images())
    if tuple(features.shape) != (4, network.feature_width):
        return f"features are {tuple(features.shape)}: must be (B, {network.feature_width})"
    if not torch.allclose(network.head(features), logits, atol=1e-5):
        return "head(features(images)) is not network(images)"
    return None


def starts_from_the_seed(subject: NetworkSubject) -> str | None:
    """The same seed gives the same initial weights, another seed others."""
    one, other, third = (weights_sha256(subject.new(seed)) for seed in (0, 0, 1))
    if one != other:
        return "two networks of one seed differ: weights must come from torch's global stream"
    return "two seeds give the same weights" if one == third else None


def is_deterministic(subject: NetworkSubject) -> str | None:
    """In eval mode the same images give the same logits, alone or beside others."""
    network, images = subject.new().eval(), subject.images()
    with torch.no_grad():
        whole, again, alone = network(images), network(images), network(images[:1])
    if not torch.equal(whole, again):
        return "two passes differ"
    same = torch.allclose(whole[:1], alone, atol=1e-4)
    return None if same else "the logits of an image depend on others"


def trains_all_parameters(subject: NetworkSubject) -> str | None:
    """Every parameter gets a gradient from a batch of two."""
    network = subject.new().train()
    network(subject.images(2)).logsumexp(1).sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    return f"no gradient reaches {', '.join(without[:3])}" if without else None


def can_be_traced(subject: NetworkSubject) -> str | None:
    """The look-ahead of the meta methods can follow it layer by layer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = trace(subject.new().train())
    slow = "its layers have no rules: it works, and a meta step takes about twice the time"
    return None if traced is not None else slow


CHECKS = (
    *(gives_logits, serves_features, starts_from_the_seed),
    *(is_deterministic, trains_all_parameters, can_be_traced),
)
