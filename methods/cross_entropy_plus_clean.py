"""Control: cross-entropy on noisy and on clean images together.

The simplest way to use the clean subset without stages: every step adds the loss of a clean batch,
so clean images are seen as often as by the methods that look ahead to them.
"""

import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, Privileges, hparam


class Hparams(Hyperparameters):
    # Of the clean loss. Widened from 100: the upper quarter of twelve draws was above the others.
    weight: float = hparam(1.0, gt=0, le=1e6, search=LogUniform(0.1, 1000, widened=1))


DECLARATION = Declaration(
    "cross_entropy_plus_clean",
    "Cross-entropy + clean",
    Hparams,
    Privileges.CLEAN_SUBSET,
    cost=2.0,
    family="control",
)


@register(DECLARATION)
class CrossEntropyPlusClean(Method):
    """Mean of the two cross-entropies, the clean one weighted."""

    def step(self, batch: Batch) -> dict[str, Tensor]:
        clean = self.task.clean_batch(augment=True)
        noisy = F.cross_entropy(self.network(batch.images), batch.labels)
        weight = self.hparams.weight
        loss = noisy + weight * F.cross_entropy(self.network(clean.images), clean.labels)
        loss = loss / (1 + weight)
        self.update(loss)
        return {"loss": loss.detach()}
