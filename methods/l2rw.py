"""Learning to reweight examples (Ren et al., ICML 2018, arXiv 1803.09050).

No learned network of weights: in every step a sample counts in proportion to how much a small step
on it alone would lower the loss on a clean batch, w_i proportional to max(0, <grad l_i, grad L_m>),
with sum 1; with no such sample the step moves nothing.

The paper takes the slope of L_m after a look-ahead step in weights that are all 0, at which the
look-ahead is theta itself and its rate cancels; this is that slope, exact and without double
backward. Defaults: there is nothing to set. Difference: optimiser and schedule are the protocol's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, register
from methods.declaration import Declaration, Privileges
from methods.lookahead import LookAhead

DECLARATION = Declaration(
    "l2rw", "L2RW", privileges=Privileges.CLEAN_SUBSET, cost=3.7, family="meta-learning"
)


@register(DECLARATION)
class L2RW(Method):
    """Algorithm 1 of the paper."""

    def step(self, batch: Batch) -> dict[str, Tensor]:
        look = LookAhead(self.network, batch.images)
        losses = F.cross_entropy(look.logits, batch.labels, reduction="none")
        weights = self.weights(self.agreement(look, losses, batch.labels))
        loss = (weights * losses).sum()
        self.update(loss)
        return {"loss": loss.detach(), "clean_loss": look.clean_loss}

    def agreement(self, look: LookAhead, losses: Tensor, labels: Tensor) -> Tensor:
        """(B,) <grad l_i, grad L_m> at theta: how a step on each sample lowers the clean loss."""
        clean = self.task.clean_batch(augment=True)
        nothing = (torch.zeros_like(losses) * losses).sum()  # all weights are 0
        tangent = look.tangent(nothing, 1.0, clean.images, clean.labels)
        p = look.logits.detach().softmax(1)
        return (p * tangent).sum(1) - tangent.gather(1, labels[:, None]).squeeze(1)

    @staticmethod
    def weights(agreement: Tensor) -> Tensor:
        """(B,) positive parts, divided by their sum; all 0 where none is positive."""
        clipped = agreement.clamp(min=0)
        total = clipped.sum()
        return clipped / torch.where(total > 0, total, torch.ones_like(total))
