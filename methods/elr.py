"""Early-learning regularisation (Liu et al., NeurIPS 2020, arXiv 2007.00151).

Each sample has a target, a running average of the network's own predictions for it. The term
lambda log(1 - <t, p>) pulls predictions towards what was learned early, before wrong labels were
memorised: t_i <- beta t_i + (1 - beta) p_i, then L = CE + lambda mean log(1 - <t_i, p_i>).

As in the official code targets begin at 0, and probabilities are clipped to [1e-4, 1 - 1e-4] and
normalised again before they enter a target. Defaults are the paper's for CIFAR-10 with symmetric
noise (asymmetric: beta 0.9, lambda 1).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration, Hyperparameters, LogUniform, Uniform, hparam


class Hparams(Hyperparameters):
    beta: float = hparam(0.7, ge=0, lt=1, search=Uniform(0.5, 0.99))
    lam: float = hparam(3.0, gt=0, le=1000, search=LogUniform(0.3, 30))  # lambda


DECLARATION = Declaration("elr", "ELR", Hparams, family="regularisation")

CLIP = 1e-4


def move_targets(targets: Tensor, p: Tensor, index: Tensor, beta: float) -> Tensor:
    """Moves the targets (n, C) of a batch towards p (B, C), stores and returns them, eq. 7."""
    own = p / p.sum(1, keepdim=True)
    moved = beta * targets[index] + (1 - beta) * own.to(targets.dtype)
    targets[index] = moved
    return moved


def pull(targets: Tensor, p: Tensor) -> Tensor:
    """Mean of log(1 - <t, p>) over a batch; p (B, C) clipped."""
    return torch.log(1 - (targets * p).sum(1)).mean()


@register(DECLARATION)
class ELR(LossMethod):
    """Cross-entropy with a term that keeps to the running average of predictions."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        zeros = torch.zeros(task.n_train, task.classes, device=task.noisy_labels.device)
        self.register_buffer("targets", zeros)

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        p = logits.softmax(1).clamp(CLIP, 1 - CLIP)
        targets = move_targets(self.targets, p.detach(), index, self.hparams.beta)
        return F.cross_entropy(logits, labels) + self.hparams.lam * pull(targets, p)

    def corrected_labels(self) -> Tensor:
        """The targets; of samples that were never seen the given label."""
        total = self.targets.sum(1, keepdim=True)
        given = F.one_hot(self.task.noisy_labels, self.task.classes).to(self.targets.dtype)
        return torch.where(total > 0, self.targets / total.clamp(min=CLIP), given)
