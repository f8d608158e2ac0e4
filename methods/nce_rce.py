"""Normalised and reverse cross-entropy (Ma et al., ICML 2020, arXiv 2006.13554).

Any loss that is divided by its sum over all possible labels is robust, but underfits; an "active"
loss (NCE, which raises p_y) with a "passive" one (RCE, which lowers the others) does not.

L = alpha NCE + beta RCE. Defaults are the paper's for CIFAR-10. Difference: the official code clips
gradients at a norm of 5; nothing is clipped here, for no method.
"""

import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, hparam
from methods.sce import reverse_cross_entropy


class Hparams(Hyperparameters):
    # Of NCE; CIFAR-100: 10. Widened from 100 (the upper quarter of the draws was above the others),
    # and from 0.1 (of the draws that followed it was the lower one).
    alpha: float = hparam(1.0, gt=0, le=1e6, search=LogUniform(0.01, 1000, widened=2))
    # Of RCE; CIFAR-100: 0.1. Widened from 0.01: the lower quarter of draws was above the others.
    beta: float = hparam(1.0, gt=0, le=1000, search=LogUniform(1e-3, 10, widened=1))


DECLARATION = Declaration("nce_rce", "NCE+RCE", Hparams, family="robust loss")


def normalised_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) log p_y / sum_k log p_k, eq. 5."""
    log_p = logits.log_softmax(1)
    return F.nll_loss(log_p, labels, reduction="none") / -log_p.sum(1)


@register(DECLARATION)
class NceRce(LossMethod):
    """An active and a passive loss, section 4."""

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        active = normalised_cross_entropy(logits, labels).mean()
        passive = reverse_cross_entropy(logits, labels).mean()
        return self.hparams.alpha * active + self.hparams.beta * passive
