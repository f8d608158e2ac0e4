"""Symmetric cross-entropy (Wang et al., ICCV 2019, arXiv 1908.06112).

L = alpha CE(y, p) + beta RCE(p, y): the reverse term, -sum_j p_j log y_j with log 0 = log 1e-4, is
9.21 (1 - p_y), bounded and so robust; cross-entropy makes it converge.

Differences: probabilities are clipped at 1e-7 in the reverse term only, as in the authors' PyTorch
reproduction (the Keras original also clips, and so stops, cross-entropy there). The paper's L2 of
0.01 on one layer is the protocol's weight decay here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, hparam


class Hparams(Hyperparameters):
    # CIFAR-10's values; both ranges widened twice: alpha rose at its low edge, then at its high
    # one, beta the other way round.
    alpha: float = hparam(0.1, gt=0, le=1000, search=LogUniform(1e-3, 100, widened=2))
    beta: float = hparam(1.0, gt=0, le=100, search=LogUniform(0.01, 50, widened=2))


DECLARATION = Declaration("sce", "SCE", Hparams, family="robust loss")

LEAST_P = 1e-7
LEAST_LABEL = 1e-4  # what stands for 0 inside log y, A = log 1e-4 in the paper


def reverse_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) -sum_j p_j log y_j, eq. 6."""
    p = logits.softmax(1).clamp(LEAST_P, 1.0)
    one_hot = F.one_hot(labels, logits.shape[1]).to(p.dtype).clamp(LEAST_LABEL, 1.0)
    return -(p * torch.log(one_hot)).sum(1)


@register(DECLARATION)
class SCE(LossMethod):
    """Cross-entropy and its reverse, eq. 7."""

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        reverse = reverse_cross_entropy(logits, labels).mean()
        return self.hparams.alpha * F.cross_entropy(logits, labels) + self.hparams.beta * reverse
