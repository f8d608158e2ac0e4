"""Control: warm-up on the noisy labels, then fine-tuning on the clean subset.

The simplest use of the data that MetaLabelNet is given: the same warm-up (the same weights bit for
bit), then cross-entropy on clean batches, all layers, at a small rate of its own with cosine decay.
Without it a gain of MetaLabelNet cannot be told from the value of the clean images.
"""

import math

import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, register, set_learning_rate
from methods.base.warmup import WarmupMethod
from methods.declaration import Declaration, Hyperparameters, LogUniform, Privileges, hparam


class Hparams(Hyperparameters):
    warmup: float = hparam(44 / 120, gt=0, le=1)  # MetaLabelNet's share of the epochs
    lr: float = hparam(0.005, gt=0, le=10, search=LogUniform(5e-4, 0.05))  # of fine-tuning


DECLARATION = Declaration("fine_tune", "Fine-tune", Hparams, Privileges.CLEAN_SUBSET)


@register(DECLARATION)
class FineTune(WarmupMethod):
    """Cross-entropy on noisy labels, then on clean ones."""

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        if self.in_stage2:
            progress = (epoch - self.warmup_epochs) / (self.task.epochs - self.warmup_epochs)
            decay = 0.5 * (1 + math.cos(math.pi * progress))
            set_learning_rate(self.optimizer, self.hparams.lr * decay)

    def stage2_step(self, batch: Batch) -> dict[str, Tensor]:
        clean = self.task.clean_batch(augment=True)
        loss = F.cross_entropy(self.network(clean.images), clean.labels)
        self.update(loss)
        return {"loss": loss.detach()}
