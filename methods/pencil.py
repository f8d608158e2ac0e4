"""PENCIL (Yi & Wu, CVPR 2019, arXiv 1903.07788): probabilistic end-to-end correction of labels.

Every training image owns a vector of label logits that begins at K times its given label; y is its
softmax. Three stages: cross-entropy on the given labels; then network and labels are trained
together by L = L_c + alpha L_o + beta L_e, the labels by plain gradient descent with a large rate;
then the network alone, on the labels as they are. L_c = KL(p || y) draws both together, L_o keeps y
at the given label, L_e makes predictions sure.

As in the official code (yikun2019/PENCIL, no licence, consulted only) L_c and L_e are means over
samples and classes, and L_o is the cross-entropy of y taken as logits, so that a softmax is applied
twice; the paper has neither. The label moves down the slope of the same forward pass.

Differences from the official code: its third stage divides the rate by whole numbers, which makes
it 0 for two thirds of the stage; here it falls along a cosine. `lam` belongs to a training that
visits each image 130 times in stage 2, so it is scaled by 130 / visits here.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, epochs_of_share, register, set_learning_rate
from methods.declaration import Declaration, Hyperparameters, LogUniform, hparam


class Hparams(Hyperparameters):
    VISITS: ClassVar[int] = 200 - 70  # of an image in the paper's stage 2

    stage1: float = hparam(70 / 320, gt=0, lt=1)  # end of stage 1 as a share of the epochs
    stage2: float = hparam(200 / 320, gt=0, le=1)  # end of stage 2
    # Lower edges widened to a tenth: the lower quarter of draws was above the others, of all three.
    alpha: float = hparam(0.4, ge=0, le=100, search=LogUniform(1e-3, 1, widened=1))
    beta: float = hparam(0.1, ge=0, le=100, search=LogUniform(1e-3, 1, widened=1))
    lam: float = hparam(600.0, gt=0, le=1e7, search=LogUniform(2, 2e4, widened=1))  # of the labels
    k: float = hparam(10.0, gt=0, le=100)  # K
    lr2_factor: float = hparam(0.2 / 0.06, gt=0, le=100)  # rate of stage 3 / that before it


DECLARATION = Declaration("pencil", "PENCIL", Hparams, family="label correction")


def parts(logits: Tensor, label_logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L_c, L_o and L_e: scalars of logits, label logits (B, C) and given labels (B,)."""
    log_p, log_y = logits.log_softmax(1), label_logits.log_softmax(1)
    p = log_p.exp()
    compatibility = F.cross_entropy(log_y.exp(), labels)  # y taken as logits
    return (p * (log_p - log_y)).mean(), compatibility, -(p * log_p).mean()


@register(DECLARATION)
class PENCIL(Method):
    """Labels that belong to images and are trained like weights."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        given = F.one_hot(task.noisy_labels, task.classes).to(torch.get_default_dtype())
        self.register_buffer("label_logits", hparams.k * given)
        self.stage2_from = epochs_of_share(hparams.stage1, task.epochs)
        # The epochs of the last stage are those that criteria choose from.
        last = min(epochs_of_share(hparams.stage2, task.epochs), task.epochs - 1)
        self.warmup_epochs = max(self.stage2_from, last)
        visits = max(1, self.warmup_epochs - self.stage2_from)
        self.label_rate = hparams.lam * hparams.VISITS / visits
        self.stage = 1

    def begin_epoch(self, epoch: int) -> None:
        started = self.warmup_epochs
        self.stage = 1 + (epoch >= self.stage2_from) + (epoch >= started)
        rate = self.task.learning_rate(0)
        if self.stage == 3:
            progress = (epoch - started) / max(1, self.task.epochs - started)
            rate *= self.hparams.lr2_factor * 0.5 * (1 + math.cos(math.pi * progress))
        set_learning_rate(self.optimizer, rate)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.network(batch.images)
        if self.stage == 1:
            loss = F.cross_entropy(logits, batch.labels)
            self.update(loss)
            return {"loss": loss.detach()}
        label_logits = self.label_logits[batch.index].requires_grad_(self.stage == 2)
        loss = self.joint_loss(logits, label_logits, batch.labels)
        self.update(loss)
        if self.stage == 2:
            moved = label_logits.detach() - self.label_rate * label_logits.grad
            self.label_logits[batch.index] = moved
        return {"loss": loss.detach()}

    def joint_loss(self, logits: Tensor, label_logits: Tensor, labels: Tensor) -> Tensor:
        """L of stage 2, L_c of stage 3."""
        fit, compatibility, entropy = parts(logits, label_logits, labels)
        if self.stage == 3:
            return fit
        return fit + self.hparams.alpha * compatibility + self.hparams.beta * entropy

    def corrected_labels(self) -> Tensor:
        """y of all training images."""
        return self.label_logits.softmax(1)
