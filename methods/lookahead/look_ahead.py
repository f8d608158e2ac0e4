"""The exact meta-gradient of a one-step look-ahead.

Meta methods choose phi so that theta' = theta - rate * grad_theta L(theta, phi) has a small loss
L_m on clean data. With g = grad L_m(theta') held fixed,

    dL_m / dphi = -rate * d/dphi < g, grad_theta L(theta, phi) >,

and the bracket is the derivative of L(theta, phi) along g. That needs only the tangent of the
logits along g, J g with J = d logits / d theta, which `LookAhead.tangent` computes; each method
writes the rest, in which phi enters sample by sample, in closed form. Nothing is approximated: the
result equals double backward (Finn et al., ICML 2017) to rounding.

J g is the derivative of < v, J g > = < grad_theta (logits . v), g > with respect to v: plain
autograd on the graph of the network's own forward pass, exact for whatever can be differentiated
twice. Where a network's layers have a rule (`traced.py`), one forward-mode pass over the values of
the same forward pass gives it at about half the time; it is used once it was found equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from methods.lookahead.autograd import tangent
from methods.lookahead.random_state import RandomState
from methods.lookahead.traced import Recording, recorded


class LookAhead:
    """One forward pass of a network at theta, and what lies one virtual SGD step ahead of it.

    The single forward pass, the network's own, serves the inner gradient and the caller's ordinary
    update.

    Args:
        network: in train mode; its parameters are theta.
        images: (B, C, H, W).
        move_batchnorm: let the clean pass at theta' write into the buffers, as the official
            MetaLabelNet code does with those of BatchNorm; by default no buffer moves there.

    Attributes:
        logits: (B, C) with their graph.
        clean_loss: after `tangent`, the scalar L_m(theta').
        parameters: after `tangent`, theta' by parameter name.
        gradient: after `tangent`, grad L(theta, phi) by parameter name, of those that L uses.
        direction: after `tangent`, g by parameter name, of those that L_m uses.
    """

    def __init__(self, network: nn.Module, images: Tensor, move_batchnorm: bool = False) -> None:
        self.network, self.images, self.move_batchnorm = network, images, move_batchnorm
        self._random = RandomState(images.device)
        with recorded(network, images) as self._recording:
            self.logits = network(images)
        self._drew = self._random.has_moved()

    def tangent(
        self,
        inner_loss: Tensor,
        rate: float,
        clean_images: Tensor,
        clean_labels: Tensor,
        beside: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Derivative (B, C) of the logits at theta along g = grad L_m(theta').

        Under autocast the clean pass, g and the tangent are computed in float32 all the same.

        Args:
            inner_loss: scalar L(theta, phi) computed from `self.logits`, phi detached.
            rate: of the look-ahead step; plain SGD, but for `beside`.
            clean_images, clean_labels: the clean batch of L_m, mean cross-entropy, with batch
                statistics in every BatchNorm layer.
            beside: what the step takes beside the gradient, by parameter name, where it is no
                plain one: momentum and weight decay, which do not depend on phi.

        Raises:
            RuntimeError: the network cannot be differentiated twice.
        """
        theta = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        found = _gradient(inner_loss, theta.values(), retain_graph=True)
        self.gradient = {n: g for n, g in zip(theta, found, strict=True) if g is not None}
        self.parameters = {
            name: _moved(parameter, self.gradient.get(name), rate).requires_grad_()
            for name, parameter in theta.items()
        }
        for name in self.gradient if beside else ():
            self.parameters[name].data.sub_(beside[name], alpha=rate)
        device = self.images.device.type
        mixed = torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False):
            self.clean_loss, self.direction = self.clean_slope(
                self.parameters, clean_images, clean_labels
            )
            direction = self.direction
            recording, logits = self._recording, self.logits
            if mixed:
                recording, logits = self._in_float32(theta)
            used = {name: theta[name] for name in direction}
            if recording is not None and not self._drew:
                along = recording.tangent(direction)
                if along is not None:
                    return along
            return tangent(logits, used, direction)

    def clean_slope(
        self, parameters: dict[str, Tensor], images: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_m of a clean batch and its gradient, in float32 also under autocast.

        Args:
            parameters: those that learn, by name.
            images, labels: as of `tangent`.
        """
        with torch.autocast(self.images.device.type, enabled=False):
            buffers = {} if self.move_batchnorm else self._copied_buffers()
            logits = functional_call(self.network, parameters | buffers, (images,))
            loss = F.cross_entropy(logits, labels)
            found = _gradient(loss, parameters.values())
        return loss.detach(), {
            n: g for n, g in zip(parameters, found, strict=True) if g is not None
        }

    def _copied_buffers(self) -> dict[str, Tensor]:
        """Buffers into which a pass may write without moving the network's own."""
        return {name: buffer.clone() for name, buffer in self.network.named_buffers()}

    def _in_float32(self, theta: dict[str, Tensor]) -> tuple[Recording | None, Tensor]:
        """The pass once more, without autocast, of the same random numbers: record and logits."""
        values = theta | self._copied_buffers()
        with self._random.replayed(), recorded(self.network, self.images) as recording:
            return recording, functional_call(self.network, values, (self.images,))


def _moved(parameter: Tensor, gradient: Tensor | None, rate: float) -> Tensor:
    """One step of SGD; a parameter that the loss does not use stays."""
    copy = parameter.detach().clone()  # keeps the memory format of the parameter
    return copy if gradient is None else copy.sub_(gradient, alpha=rate)


def _gradient(
    loss: Tensor, parameters: Iterable[Tensor], retain_graph: bool = False
) -> tuple[Tensor | None, ...]:
    """None for the parameters that the loss does not use."""
    return torch.autograd.grad(
        loss, tuple(parameters), retain_graph=retain_graph, allow_unused=True
    )
