"""The ceiling: cross-entropy on the true labels of all training images.

No method of learning from noisy labels may see them; what it lacks to this one is what the noise
still costs it. Tables mark it, and it is never their best. Images without a true class, such as
those of open-set noise, are left out of their batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration, Privileges

DECLARATION = Declaration("oracle", "Oracle", privileges=Privileges.TRUE_LABELS, family="ceiling")

NO_CLASS = -1


def mean_of_known(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits (B, C) over the labels (B,) that are a class; 0 without any."""
    total = F.cross_entropy(logits, labels, ignore_index=NO_CLASS, reduction="sum")
    return total / torch.count_nonzero(labels != NO_CLASS).clamp(min=1)


@register(DECLARATION)
class Oracle(LossMethod):
    """Cross-entropy on what the labels should be."""

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        return mean_of_known(logits, self.task.true_labels[index])
