"""Control: cross-entropy on the clean subset alone.

What the clean images are worth without any noisy label. Every method with the privilege
`clean_subset` must beat it, else the noisy data was of no use to it. The number of updates is that
of the other methods.
"""

import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, register
from methods.declaration import Declaration, Privileges

DECLARATION = Declaration(
    "clean_only", "Clean only", privileges=Privileges.CLEAN_SUBSET, family="control"
)


@register(DECLARATION)
class CleanOnly(Method):
    """Mean cross-entropy of clean batches, all layers."""

    def step(self, batch: Batch) -> dict[str, Tensor]:
        clean = self.task.clean_batch(augment=True)
        loss = F.cross_entropy(self.network(clean.images), clean.labels)
        self.update(loss)
        return {"loss": loss.detach()}
