"""Meta-Weight-Net (Shu et al., NeurIPS 2019, arXiv 1902.07379): weights learned from losses.

A small network V maps a sample's loss to its weight. Each step first moves V so that one look-ahead
step of the classifier on the weighted loss lowers the loss on clean data, then trains the
classifier with the new weights. Reference code: xjtushujun/meta-weight-net (`MW-Net.py`).

Differences from the paper: optimiser and schedule of the classifier are the protocol's. The
official code runs the classifier a second time for the real step; the logits are the same (same
parameters, same batch), so one forward pass serves both. The meta-gradient is exact, without
double backward (`methods/lookahead/look_ahead.py`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, Privileges, hparam
from methods.lookahead import LookAhead


class Hparams(Hyperparameters):
    # beta, Adam on V. Widened from 1e-4: the lower quarter of twelve draws was above the others.
    lr: float = hparam(1e-3, gt=0, le=1, search=LogUniform(1e-5, 1e-2, widened=1))
    # Of V. Widened from 1e-5 to 1e-3: both outer quarters of twelve draws were above the others.
    weight_decay: float = hparam(1e-4, ge=0, le=1, search=LogUniform(1e-6, 1e-2, widened=1))
    hidden: int = hparam(100, ge=1, le=100_000)  # hidden units of V


DECLARATION = Declaration(
    "mw_net", "Meta-Weight-Net", Hparams, Privileges.CLEAN_SUBSET, cost=3.7, family="meta-learning"
)


class WeightNet(nn.Module):
    """V: loss (B,) -> 100 ReLU units -> sigmoid weight (B,) in (0, 1)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(1, hidden)
        self.linear2 = nn.Linear(hidden, 1)

    def forward(self, losses: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(losses[:, None]))).sigmoid().squeeze(1)


@register(DECLARATION)
class MetaWeightNet(Method):
    """Algorithm 1 of the paper."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.weight_net = WeightNet(hparams.hidden).to(task.noisy_labels.device)
        self.weight_optimizer = torch.optim.Adam(
            self.weight_net.parameters(), hparams.lr, weight_decay=hparams.weight_decay
        )

    def step(self, batch: Batch) -> dict[str, Tensor]:
        look = LookAhead(self.network, batch.images)
        losses = F.cross_entropy(look.logits, batch.labels, reduction="none")
        weights = self.weight_net(losses.detach())
        rate = self.optimizer.param_groups[0]["lr"]
        self.meta_step(look, losses, weights, batch.labels, rate)

        with torch.no_grad():
            weights = self.weight_net(losses.detach())
        loss = (weights * losses).mean()  # eq. 5
        self.update(loss)
        return {"loss": loss.detach(), "clean_loss": look.clean_loss, "weight": weights.mean()}

    def meta_step(
        self, look: LookAhead, losses: Tensor, weights: Tensor, labels: Tensor, rate: float
    ) -> None:
        """Steps 5 to 7: moves V down the meta-gradient of its weights (B,)."""
        clean = self.task.clean_batch(augment=True)
        inner_loss = (weights.detach() * losses).mean()  # eq. 3
        tangent = look.tangent(inner_loss, rate, clean.images, clean.labels)
        p = look.logits.detach().softmax(1)
        loss_tangent = (p * tangent).sum(1) - tangent.gather(1, labels[:, None]).squeeze(1)
        self.weight_optimizer.zero_grad(set_to_none=True)
        (-rate * (weights * loss_tangent).mean()).backward()  # reaches V only
        self.weight_optimizer.step()
