"""Control: warm-up on the noisy labels, then a new last layer on its frozen features.

Only the clean subset trains the last layer. What the features of the warm-up are worth by
themselves: MetaLabelNet's labels come from the same features, a linear layer and the same clean
images, so what it gains over this control is due to more than these.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, Privileges, hparam
from methods.fine_tune import FineTune


class Hparams(Hyperparameters):
    warmup: float = hparam(44 / 120, gt=0, le=1)  # MetaLabelNet's share of the epochs
    lr_factor: float = hparam(1.0, gt=0, le=100, search=LogUniform(0.01, 10))  # of protocol.lr


DECLARATION = Declaration(
    "linear_probe", "Linear probe", Hparams, Privileges.CLEAN_SUBSET, family="control"
)


@register(DECLARATION)
class LinearProbe(FineTune):
    """Cross-entropy on noisy labels, then on clean ones by the last layer alone."""

    def train(self, mode: bool = True) -> "LinearProbe":
        super().train(mode)
        if self.in_stage2:
            self.network.eval()  # running statistics are part of the features
        return self

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)  # stage 2 falls along a cosine from `lr_factor`
        if epoch == self.warmup_epochs:
            self.network.head.reset_parameters()
            self.optimizer.state.clear()
            self.network.eval()

    def stage2_step(self, batch: Batch) -> dict[str, Tensor]:
        clean = self.task.clean_batch(augment=True)
        with torch.no_grad():
            features = self.network.features(clean.images)
        loss = F.cross_entropy(self.network.head(features), clean.labels)
        self.update(loss)
        return {"loss": loss.detach()}
