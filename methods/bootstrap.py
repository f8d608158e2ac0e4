"""Bootstrapping (Reed et al., ICLR 2015 workshop, arXiv 1412.6596), soft or hard.

The target of a sample is a mixture of its given label and the network's own prediction: all of the
prediction (soft), or its most probable class (hard). The gradient flows through both places of a
soft prediction, as in the common code; the hard one is a constant.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration, Hyperparameters, Uniform, hparam


class Hparams(Hyperparameters):
    # Weight of the given label. The paper has 0.95 for soft and 0.8 for hard targets. Widened from
    # 0.3: the lower quarter of twelve draws was above the others.
    beta: float = hparam(0.95, ge=0, le=1, search=Uniform(0.1, 1.0, widened=1))
    hard: bool = hparam(False)


DECLARATION = Declaration("bootstrap", "Bootstrap", Hparams, family="label correction")


def bootstrap_losses(logits: Tensor, labels: Tensor, beta: float, hard: bool) -> Tensor:
    """(B,) -sum_j [beta y + (1 - beta) z]_j log p_j, z = p or its hard version, eqs. 7 and 8."""
    log_p = logits.log_softmax(1)
    given = F.nll_loss(log_p, labels, reduction="none")
    if hard:
        own = F.nll_loss(log_p, log_p.detach().argmax(1), reduction="none")
    else:
        own = -(log_p.exp() * log_p).sum(1)
    return beta * given + (1 - beta) * own


@register(DECLARATION)
class Bootstrap(LossMethod):
    """Mean cross-entropy with a target that is partly the network's own."""

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        return torch.mean(bootstrap_losses(logits, labels, self.hparams.beta, self.hparams.hard))
