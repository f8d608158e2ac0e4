"""Double backward: the slow, plain way to a meta-gradient, against which the fast one is tested."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from methods.base import Batch, Method
from methods.lookahead import LookAhead
from methods.metalabelnet import MetaLabelNet, classification_loss
from methods.mw_net import MetaWeightNet


def double_backward(
    network: nn.Module,
    inner_loss: Tensor,
    rate: float,
    clean_images: Tensor,
    clean_labels: Tensor,
    phi: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """d L_m(theta - rate * grad L(theta, phi)) / d phi, with the graph of the inner gradient kept.

    Args:
        inner_loss: scalar L(theta, phi) with its graph to both.
        phi: parameters of the meta-learner.
    """
    theta = {name: p for name, p in network.named_parameters() if p.requires_grad}
    gradient = torch.autograd.grad(
        inner_loss, tuple(theta.values()), create_graph=True, allow_unused=True
    )
    pairs = zip(theta.items(), gradient, strict=True)
    moved = {name: p if g is None else p - rate * g for (name, p), g in pairs}
    still = {name: buffer.clone() for name, buffer in network.named_buffers()}
    clean_logits = functional_call(network, moved | still, (clean_images,))
    clean_loss = F.cross_entropy(clean_logits, clean_labels)
    return torch.autograd.grad(clean_loss, tuple(phi), retain_graph=True)


def _step_of(learner: nn.Module, optimizer: torch.optim.Optimizer, gradient: Sequence[Tensor]):
    for parameter, grad in zip(learner.parameters(), gradient, strict=True):
        parameter.grad = grad
    optimizer.step()


class DoubleBackwardMetaLabelNet(MetaLabelNet):
    """MetaLabelNet whose meta step goes back through the inner gradient."""

    def meta_step(self, look: LookAhead, features: Tensor, clean: Batch) -> None:
        inner_loss = classification_loss(look.logits, self.soft_labels(features))
        phi = tuple(self.label_layer.parameters())
        meta = (self.network, inner_loss, self.hparams.alpha, clean.images, clean.labels, phi)
        look.clean_loss = inner_loss.detach()
        _step_of(self.label_layer, self.label_optimizer, double_backward(*meta))


class DoubleBackwardMetaWeightNet(MetaWeightNet):
    """Meta-Weight-Net whose meta step goes back through the inner gradient."""

    def meta_step(self, look, losses, weights, labels, rate) -> None:
        clean = self.task.clean_batch(augment=True)
        inner_loss = (weights * losses).mean()
        phi = tuple(self.weight_net.parameters())
        meta = (self.network, inner_loss, rate, clean.images, clean.labels, phi)
        look.clean_loss = inner_loss.detach()
        _step_of(self.weight_net, self.weight_optimizer, double_backward(*meta))


DOUBLE_BACKWARD: dict[str, type[Method]] = {
    "metalabelnet": DoubleBackwardMetaLabelNet,
    "mw_net": DoubleBackwardMetaWeightNet,
}
"""The meta methods with the plain meta-gradient, for the benchmark of steps."""
