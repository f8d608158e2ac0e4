"""Generalised cross-entropy, plain and truncated (Zhang & Sabuncu, NeurIPS 2018, arXiv 1805.07836).

L_q = (1 - p_y^q) / q lies between cross-entropy (q -> 0) and mean absolute error (q = 1). The
truncated form counts a sample only while L_q(p_y) < L_q(k), that is while p_y > k.

Differences from the paper: p_y is clamped at 1e-7 (the gradient is NaN where p_y underflows).
Pruning starts after 40/120 of the epochs and is repeated every 10/120, the shares of the only
public code (AlanChou/Truncated-Loss, no licence, consulted only); the current network in eval mode
decides, because that code's best-so-far network is chosen on test data.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, epochs_of_share, outputs_in_order, register
from methods.declaration import Declaration, Hyperparameters, Uniform, hparam


class Hparams(Hyperparameters):
    q: float = hparam(0.7, gt=0, le=1, search=Uniform(0.3, 1.0))  # q, eq. 6
    truncated: bool = hparam(False)  # use the truncated loss, eq. 9
    k: float = hparam(0.5, gt=0, le=1)  # threshold k on p_y, section 3.3
    prune_from: float = hparam(40 / 120, ge=0, le=1)  # share of the epochs before pruning
    prune_every: float = hparam(10 / 120, gt=0, le=1)  # share of the epochs between prunings


DECLARATION = Declaration("gce", "GCE", Hparams, family="robust loss")


def lq_loss(logits: Tensor, labels: Tensor, q: float) -> Tensor:
    """(B,) L_q of each sample, eq. 6."""
    # Not gather: on a GPU its deterministic backward pass copies strides there and waits for them.
    p = -F.nll_loss(logits.softmax(1), labels, reduction="none")
    return (1 - p.clamp(min=1e-7) ** q) / q


def truncated_loss(losses: Tensor, weights: Tensor, q: float, k: float) -> Tensor:
    """Scalar truncated loss, eq. 9, of L_q values (B,) and their binary weights (B,)."""
    return (weights * (losses - lq_threshold(q, k))).mean()


def lq_threshold(q: float, k: float) -> float:
    """L_q(k), the constant loss of a sample whose p_y is at most k."""
    return (1 - k**q) / q


@register(DECLARATION)
class GCE(LossMethod):
    """The L_q loss, with `truncated: true` pruned by binary weights."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        if hparams.truncated:
            ones = torch.ones(task.n_train, device=task.noisy_labels.device)
            self.register_buffer("weights", ones)

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        start = epochs_of_share(self.hparams.prune_from, self.task.epochs)
        every = epochs_of_share(self.hparams.prune_every, self.task.epochs)
        if self.hparams.truncated and epoch >= start and (epoch - start) % every == 0:
            self.prune(outputs_in_order(self.network, self.task))

    def prune(self, logits: Tensor) -> None:
        """Keeps the samples with L_q(p_y) < L_q(k); `logits` (n_train, C) of all of them."""
        losses = lq_loss(logits, self.task.noisy_labels, self.hparams.q)
        self.weights.copy_(losses < lq_threshold(self.hparams.q, self.hparams.k))

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        losses = lq_loss(logits, labels, self.hparams.q)
        if not self.hparams.truncated:
            return losses.mean()
        return truncated_loss(losses, self.weights[index], self.hparams.q, self.hparams.k)

    def clean_probability(self) -> Tensor | None:
        return self.weights if self.hparams.truncated else None
