"""Cross-entropy on the noisy labels: the baseline that every other method must beat.

The field's standard practice; no hyper-parameter of its own (protocol: optimiser and schedule).
"""

import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration

DECLARATION = Declaration("cross_entropy", "Cross-entropy", family="baseline")


@register(DECLARATION)
class CrossEntropy(LossMethod):
    """Mean cross-entropy of the given labels."""

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels)
