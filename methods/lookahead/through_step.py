"""The gradient, in a network's own parameters, of a loss one step of SGD ahead.

With theta' = theta - rate * grad L(theta) and a loss M at theta',

    dM(theta') / dtheta = v - rate * H v,  v = grad M(theta'),  H the Hessian of L at theta,

and H v is the gradient of < grad L(theta), v > with v held fixed: exact for whatever torch can
differentiate twice. This differs from `look_ahead.py`, whose meta-learner phi stands beside the
network: there the bracket is linear in what phi writes, here theta is in all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from methods.lookahead.random_state import RandomState

Loss = Callable[[Tensor], Tensor]
"""Logits (B, C) -> scalar."""


class ThroughStep:
    """One forward pass of a network at theta, and losses one virtual step of SGD ahead of it.

    The single forward pass, the network's own, serves all inner losses and the caller's ordinary
    update. Under autocast the meta pass is computed in float32 all the same, out of a second pass
    of the same random numbers. The passes at theta' move no buffer.

    Args:
        network: in train mode; its parameters are theta.
        images: (B, C, H, W).

    Attributes:
        logits: (B, C) with their graph.
    """

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        self.network, self.images = network, images
        self.theta = {n: p for n, p in network.named_parameters() if p.requires_grad}
        device = images.device
        if not torch.is_autocast_enabled(device.type):
            self.logits = self._logits = network(images)
            return
        random, buffers = RandomState(device), self._copied_buffers()
        self.logits = network(images)
        with random.replayed(), torch.autocast(device.type, enabled=False):
            self._logits = functional_call(network, self.theta | buffers, (images,))

    def slopes(
        self, inner_loss: Loss, rate: float, outer_loss: Loss, second_order: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """M(theta') and its gradient in theta by parameter name, of those that either loss uses.

        Args:
            inner_loss: L of the logits at theta.
            rate: of the step; plain SGD without momentum or weight decay.
            outer_loss: M of the logits of the same images at theta'.
            second_order: without it H v is left out: v alone.

        Raises:
            RuntimeError: the network cannot be differentiated twice.
        """
        with torch.autocast(self.images.device.type, enabled=False):
            gradient = self._inner_gradient(inner_loss, second_order)
            moved = {  # cloned first: keeps the memory format of the parameter
                name: parameter.detach().clone() for name, parameter in self.theta.items()
            }
            for name, slope in gradient.items():
                moved[name].sub_(slope.detach(), alpha=rate)
            for parameter in moved.values():
                parameter.requires_grad_()
            logits = functional_call(self.network, moved | self._copied_buffers(), (self.images,))
            loss = outer_loss(logits)
            v = _named(moved, torch.autograd.grad(loss, tuple(moved.values()), allow_unused=True))
            if second_order:
                for name, slope in self._curvature(gradient, v).items():
                    v[name] = slope.mul(-rate) if name not in v else v[name].sub(slope, alpha=rate)
        return loss.detach(), v

    def summed_slopes(
        self, inner_losses: Iterable[Loss], rate: float, outer_loss: Loss, second_order: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """`slopes` after each of several steps from theta: all M (S,), and the gradient's sum."""
        losses, total = [], {}
        for inner_loss in inner_losses:
            loss, slopes = self.slopes(inner_loss, rate, outer_loss, second_order)
            losses.append(loss)
            # Not in place: parameters that are only added have one tensor for both slopes.
            total = slopes | {n: t + slopes.get(n, 0) for n, t in total.items()}
        return torch.stack(losses), total

    def _inner_gradient(self, inner_loss: Loss, create_graph: bool) -> dict[str, Tensor]:
        found = torch.autograd.grad(
            inner_loss(self._logits),
            tuple(self.theta.values()),
            create_graph=create_graph,
            retain_graph=True,
            allow_unused=True,
        )
        return _named(self.theta, found)

    def _curvature(self, gradient: dict[str, Tensor], v: dict[str, Tensor]) -> dict[str, Tensor]:
        """H v by parameter name."""
        along = sum((slope * v[name]).sum() for name, slope in gradient.items() if name in v)
        if not getattr(along, "requires_grad", False):  # the slope of L is the same everywhere
            return {}
        try:
            found = torch.autograd.grad(
                along, tuple(self.theta.values()), retain_graph=True, allow_unused=True
            )
        except RuntimeError as error:
            raise RuntimeError(
                f"a look-ahead needs a network that can be differentiated twice: {error}"
            ) from error
        return _named(self.theta, found)

    def _copied_buffers(self) -> dict[str, Tensor]:
        """Buffers into which a pass may write without moving the network's own."""
        return {name: buffer.clone() for name, buffer in self.network.named_buffers()}


def _named(names: dict[str, Tensor], found: tuple[Tensor | None, ...]) -> dict[str, Tensor]:
    return {name: slope for name, slope in zip(names, found, strict=True) if slope is not None}
