"""The exact meta-gradient of a one-step look-ahead, by one forward-mode pass.

Meta methods choose phi so that theta' = theta - rate * grad_theta L(theta, phi) has a small loss
L_m on clean data. With g = grad L_m(theta') held fixed,

    dL_m / dphi = -rate * d/dphi < g, grad_theta L(theta, phi) >,

and the bracket is the derivative of L(theta, phi) along g. That needs only the tangent of the
logits along g, which `LookAhead.tangent` computes by forward-mode differentiation; each method
writes the rest, in which phi enters sample by sample, in closed form. Nothing is approximated:
the result equals double backward (Finn et al., ICML 2017) to rounding, at less time and memory.
The tangent reuses the values of the forward pass where the network can be traced (`tangent.py`);
elsewhere plain forward-mode AD runs the network once more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.autograd.forward_ad as forward_mode
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from methods.lookahead.randomness import random_state, replayed
from methods.lookahead.tangent import KeptForward, Untraceable, give_up, trace


class LookAhead:
    """One forward pass of a network at theta, and what lies one virtual SGD step ahead of it.

    The single forward pass serves the inner gradient and the caller's ordinary update.

    Args:
        network: in train mode; its parameters are theta.
        images: (B, C, H, W).
        move_batchnorm: let the clean pass at theta' write its statistics into the BatchNorm
            buffers, as the official MetaLabelNet code does; by default no buffer moves there.

    Attributes:
        logits: (B, C) with their graph.
        clean_loss: after `tangent`, the scalar L_m(theta').
        parameters: after `tangent`, theta' by parameter name.
    """

    def __init__(self, network: nn.Module, images: Tensor, move_batchnorm: bool = False) -> None:
        self.network, self.images, self.move_batchnorm = network, images, move_batchnorm
        self._random_state = random_state(images.device)
        graph = trace(network)
        self._kept = None if graph is None else KeptForward(graph)
        self.logits = network(images) if self._kept is None else self._kept.run(images)

    def tangent(
        self, inner_loss: Tensor, rate: float, clean_images: Tensor, clean_labels: Tensor
    ) -> Tensor:
        """Derivative (B, C) of the logits at theta along g = grad L_m(theta').

        Args:
            inner_loss: scalar L(theta, phi) computed from `self.logits`, phi detached.
            rate: of the look-ahead step; plain SGD without momentum or weight decay.
            clean_images, clean_labels: the clean batch of L_m, mean cross-entropy, with batch
                statistics in every BatchNorm layer.
        """
        theta = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        gradient = torch.autograd.grad(inner_loss, tuple(theta.values()), retain_graph=True)
        self.parameters = {  # cloned first: keeps the memory format of the parameter
            name: parameter.detach().clone().sub_(grad, alpha=rate).requires_grad_()
            for (name, parameter), grad in zip(theta.items(), gradient, strict=True)
        }
        keep = contextlib.nullcontext() if self.move_batchnorm else still_batchnorm(self.network)
        with keep:
            clean_logits = functional_call(self.network, self.parameters, (clean_images,))
        clean_loss = F.cross_entropy(clean_logits, clean_labels)
        direction = torch.autograd.grad(clean_loss, tuple(self.parameters.values()))
        self.clean_loss = clean_loss.detach()
        return self._along(theta, dict(zip(theta, direction, strict=True)))

    def _along(self, theta: dict[str, Tensor], direction: dict[str, Tensor]) -> Tensor:
        if self._kept is not None:
            try:
                with still_batchnorm(self.network):
                    return self._kept.tangent(direction)
            except Untraceable as error:
                give_up(self.network, error)
        with (
            torch.no_grad(),
            replayed(self._random_state, self.images.device),  # the same dropout masks
            still_batchnorm(self.network),
            forward_mode.dual_level(),
        ):
            dual = {n: forward_mode.make_dual(theta[n].detach(), direction[n]) for n in theta}
            logits = functional_call(self.network, dual, (self.images,))
            return forward_mode.unpack_dual(logits).tangent


@contextlib.contextmanager
def still_batchnorm(network: nn.Module) -> Iterator[None]:
    """Inside, BatchNorm layers in train mode use batch statistics and leave their buffers alone."""
    layers = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    tracking = [layer.track_running_stats for layer in layers]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer, was_tracking in zip(layers, tracking, strict=True):
            layer.track_running_stats = was_tracking
