"""Meta soft label generation (Algan & Ulusoy, ICPR 2020, arXiv 2007.05836): MetaLabelNet's sister.

Every training image owns a vector of label logits that begins at K times its given label. After a
warm-up each step moves the logits of its batch so that one look-ahead SGD step of the classifier on
their softmax lowers the loss on clean data, then trains the classifier on the new soft labels. An
image's label moves once an epoch; there is no layer that images share. Official code:
gorkemalgan/MSLG_noisy_label (no licence, consulted only).

Losses as in the official code, means over samples and classes: L_c = KL(p || y), and the entropy
L_e of p with weight gamma.

Differences from the official code: clean images come from the training part, in reshuffled batches;
the meta-gradient is exact without double backward, and the look-ahead leaves BatchNorm's running
statistics alone. `beta` belongs to a training that visits each image 76 times after the warm-up, so
it is scaled by 76 / visits here. Fair track: stage 2 runs at a constant rate, as MetaLabelNet's.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, register, set_learning_rate
from methods.base.warmup import WarmupMethod
from methods.declaration import Declaration, Hyperparameters, LogUniform, Privileges, hparam
from methods.lookahead import LookAhead
from methods.metalabelnet import EPSILON, classification_loss, entropy


class Hparams(Hyperparameters):
    VISITS: ClassVar[int] = 120 - 44  # of an image in the paper's stage 2

    warmup: float = hparam(44 / 120, gt=0, le=1)  # stage 1 as a share of the epochs
    # Rates of the look-ahead and of the labels. All three ranges rose at their low edge.
    alpha: float = hparam(0.5, gt=0, le=1000, search=LogUniform(0.005, 50, widened=1))
    beta: float = hparam(4000.0, gt=0, le=1e7, search=LogUniform(10, 1e5, widened=1))
    gamma: float = hparam(1.0, ge=0, le=100)  # weight of the entropy
    k: float = hparam(10.0, gt=0, le=100)  # K, of the given label in the first logits
    stage2_lr_factor: float = hparam(0.1, gt=0, le=100, search=LogUniform(1e-5, 2, widened=1))
    stage2_schedule: Literal["constant", "protocol"] = hparam("constant")


DECLARATION = Declaration(
    "mslg",
    "MSLG",
    Hparams,
    Privileges.CLEAN_SUBSET,
    paper={"stage2_schedule": "protocol"},
    cost=2.7,
    family="meta-learning",
)


@register(DECLARATION)
class MSLG(WarmupMethod):
    """Warm-up, then one step of the batch's labels and one of the classifier."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        given = F.one_hot(task.noisy_labels, task.classes).to(torch.get_default_dtype())
        self.register_buffer("label_logits", hparams.k * given)
        visits = max(1, task.epochs - self.warmup_epochs)
        self.label_rate = hparams.beta * hparams.VISITS / visits

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        if self.in_stage2 and self.hparams.stage2_schedule == "constant":
            rate = self.hparams.stage2_lr_factor * self.task.learning_rate(0)
            set_learning_rate(self.optimizer, rate)

    def stage2_step(self, batch: Batch) -> dict[str, Tensor]:
        look = LookAhead(self.network, batch.images)
        clean = self.task.clean_batch(augment=False)
        moved = self.meta_step(look, self.label_logits[batch.index], clean)
        self.label_logits[batch.index] = moved

        fit = classification_loss(look.logits, moved.softmax(1))
        loss = fit + self.hparams.gamma * entropy(look.logits)
        self.update(loss)
        return {"loss": loss.detach(), "clean_loss": look.clean_loss}

    def meta_step(self, look: LookAhead, label_logits: Tensor, clean: Batch) -> Tensor:
        """Label logits (B, C) after a step down the slope of L_m(theta') in them."""
        slope = self.label_slope(look, label_logits, clean)
        return label_logits - self.label_rate * slope

    def label_slope(self, look: LookAhead, label_logits: Tensor, clean: Batch) -> Tensor:
        """(B, C) slope of the clean loss one look-ahead step away in the label logits."""
        own = label_logits.detach().requires_grad_()
        soft_labels = own.softmax(1)
        inner_loss = classification_loss(look.logits, soft_labels.detach())
        tangent = look.tangent(inner_loss, self.hparams.alpha, clean.images, clean.labels)
        p = look.logits.detach().softmax(1)
        p_tangent = p * (tangent - (p * tangent).sum(1, keepdim=True))
        # Of the tangent of L_c only the cross term -mean(dp log y) holds the labels.
        surrogate = self.hparams.alpha * (p_tangent * torch.log(soft_labels + EPSILON)).mean()
        return torch.autograd.grad(surrogate, own)[0]

    def corrected_labels(self) -> Tensor:
        """The soft labels of all training images."""
        return self.label_logits.softmax(1)
