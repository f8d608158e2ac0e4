"""What a look-ahead may need of a network and its optimiser beside logits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def features_of(network: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, the features (B, d) of every pass are appended to the list, without gradient.

    Args:
        network: with a `head`, which is given the features.
    """
    kept: list[Tensor] = []
    hook = network.head.register_forward_pre_hook(lambda _, given: kept.append(given[0].detach()))
    try:
        yield kept
    finally:
        hook.remove()


def momentum_and_decay(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """What the optimiser's next step takes beside the gradient, by parameter name.

    That of SGD without dampening and Nesterov's rule; nothing of other optimisers.
    """
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not isinstance(optimizer, torch.optim.SGD):
        return {name: torch.zeros_like(p) for name, p in named.items()}
    group = optimizer.param_groups[0]
    beside = {name: group["weight_decay"] * p.detach() for name, p in named.items()}
    for name, parameter in named.items():
        buffer = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if buffer is not None:
            beside[name].add_(buffer, alpha=group["momentum"])
    return beside
