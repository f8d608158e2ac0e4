"""Joint optimisation of network and labels (Tanaka et al., CVPR 2018, arXiv 1803.11364).

A network that learns at a high constant rate fits clean labels long before wrong ones, so its own
predictions become the labels. Stage 1: L = L_c + alpha L_p + beta L_e, where L_c is cross-entropy
against the soft labels, L_p keeps the mean prediction of a batch at the uniform prior and L_e makes
predictions sure. Labels are the given ones at first; from a certain epoch on every epoch ends by
setting them to the mean of the last epochs' predictions (`hard: true`: to the class of the largest
mean, the paper's other variant). Stage 2: a new network, trained on the final labels alone.

As in the official code (DaikiTanaka-UT/JointOptimization, no licence, consulted only) predictions
are those of the training passes, an image that an epoch leaves out keeps its last one, and the mean
divides by all slots of the ring of stored predictions, also by empty ones. An image that was never
seen keeps its given label. The paper's 200 + 120 epochs are the two stages of one run here:
labels move from the share 70/320 on, and the ring has 10/320 of the epochs as its slots, at least
one; so it is full before labels move, and labels sum to 1.

Differences: the rate of stage 1 is the protocol's first, constant as in the paper (the paper tunes
it by noise rate); that of stage 2 falls along a cosine (paper: steps). Stage 2 begins with weights
and an optimiser of its own; its network takes the place of the first one as the reported network.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, epochs_of_share, register, set_learning_rate
from methods.declaration import Declaration, Hyperparameters, LogUniform, hparam


class Hparams(Hyperparameters):
    begin: float = hparam(70 / 320, gt=0, le=1)  # from which share of the epochs on labels move
    stage1: float = hparam(200 / 320, gt=0, le=1)  # end of stage 1 as a share of the epochs
    window: float = hparam(10 / 320, gt=0, le=1)  # slots of the ring as a share of the epochs
    # Defaults: symmetric noise; the authors' asymmetric ones are 0.8 and 0.4.
    alpha: float = hparam(1.2, ge=0, le=100, search=LogUniform(0.1, 10))
    beta: float = hparam(0.8, ge=0, le=100, search=LogUniform(0.05, 5))
    lr_factor: float = hparam(1.0, gt=0, le=100, search=LogUniform(0.1, 10))  # of protocol.lr
    lr2_factor: float = hparam(0.2 / 0.1, gt=0, le=100)  # rate of stage 2 / protocol.lr
    hard: bool = hparam(False)  # labels are classes


DECLARATION = Declaration(
    "joint_optimization", "Joint optimization", Hparams, family="label correction"
)


def parts(logits: Tensor, soft_labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L_c, L_p and L_e: scalars of logits and soft labels (B, C)."""
    log_p = logits.log_softmax(1)
    log_mean = log_p.logsumexp(0) - math.log(len(log_p))
    fit, entropy = (-(weights * log_p).sum(1).mean() for weights in (soft_labels, log_p.exp()))
    return fit, -log_mean.mean(), entropy


@register(DECLARATION)
class JointOptimization(Method):
    """Labels follow the network, then a new network learns from them."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.second = new_network().requires_grad_(False)  # the first weights of stage 2
        given = F.one_hot(task.noisy_labels, task.classes).to(torch.get_default_dtype())
        self.register_buffer("soft_labels", given)
        slots = epochs_of_share(hparams.window, task.epochs)
        self.register_buffer("outputs", given.new_zeros(slots, *given.shape))
        self.moves_after = epochs_of_share(hparams.begin, task.epochs)
        # At least one epoch is left for the last stage, the one that criteria choose from.
        self.warmup_epochs = min(epochs_of_share(hparams.stage1, task.epochs), task.epochs - 1)
        self.in_stage2, self.slot = False, 0

    def begin_epoch(self, epoch: int) -> None:
        started = self.warmup_epochs
        self.in_stage2, self.slot = epoch >= started, epoch % len(self.outputs)
        rate = self.task.learning_rate(0)
        if epoch == started:
            self.network.load_state_dict(self.second.state_dict())
            self.optimizer.state.clear()  # no momentum, as of a new optimiser
        if self.in_stage2:
            progress = (epoch - started) / (self.task.epochs - started)
            rate *= self.hparams.lr2_factor * 0.5 * (1 + math.cos(math.pi * progress))
        else:
            rate *= self.hparams.lr_factor
            # For the images of the last, incomplete batch, which an epoch leaves out.
            last = self.outputs[self.slot - 1] if epoch else self.soft_labels
            self.outputs[self.slot] = last.clone()
        set_learning_rate(self.optimizer, rate)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.network(batch.images)
        loss = self.joint_loss(logits, self.soft_labels[batch.index])
        if not self.in_stage2:
            p = logits.detach().softmax(1)
            self.outputs[self.slot, batch.index] = p.to(self.outputs.dtype)
        self.update(loss)
        return {"loss": loss.detach()}

    def joint_loss(self, logits: Tensor, soft_labels: Tensor) -> Tensor:
        """L of stage 1, L_c of stage 2."""
        fit, prior, entropy = parts(logits, soft_labels)
        if self.in_stage2:
            return fit
        return fit + self.hparams.alpha * prior + self.hparams.beta * entropy

    def end_epoch(self, epoch: int) -> None:
        if self.in_stage2 or epoch + 1 < self.moves_after:
            return
        soft_labels = self.outputs.mean(0)
        if self.hparams.hard:
            classes = soft_labels.argmax(1)
            soft_labels = F.one_hot(classes, self.task.classes).to(soft_labels.dtype)
        self.soft_labels.copy_(soft_labels)

    def corrected_labels(self) -> Tensor:
        """The labels as they are."""
        return self.soft_labels
