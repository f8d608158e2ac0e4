"""Double backward: the slow, plain way to a meta-gradient, against which the fast one is tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from methods.lookahead import still_batchnorm


def double_backward(
    network: nn.Module,
    images: Tensor,
    inner_loss: Callable[[Tensor], Tensor],
    rate: float,
    clean_images: Tensor,
    clean_labels: Tensor,
    phi: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """d L_m(theta - rate * grad L(theta, phi)) / d phi, with the graph of the inner gradient kept.

    Args:
        inner_loss: logits (B, C) -> scalar that depends on phi.
        phi: parameters of the meta-learner.
    """
    theta = dict(network.named_parameters())
    with still_batchnorm(network):
        inner = inner_loss(functional_call(network, theta, (images,)))
        gradient = torch.autograd.grad(inner, tuple(theta.values()), create_graph=True)
        moved = {n: p - rate * g for (n, p), g in zip(theta.items(), gradient, strict=True)}
        clean_loss = F.cross_entropy(functional_call(network, moved, (clean_images,)), clean_labels)
    return torch.autograd.grad(clean_loss, tuple(phi))
