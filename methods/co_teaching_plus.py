"""Co-teaching+ (Yu et al., ICML 2019, arXiv 1901.04215): learn where two networks disagree.

Two networks that choose for each other become alike, and co-teaching ends as self-training. After
some epochs of it only the samples on which the predictions of both networks differ are left in a
batch; of these each network learns from the share R(T) that its peer's loss ranks lowest.

As in the official code (xingruiyu/coteaching_plus, no licence, consulted only) all disagreeing
samples are kept where R(T) of them is none, and early in training (`whole`) a batch without
disagreement is learned as a whole; later it teaches nothing (loss 0). With the default shares the
early part lies within the co-teaching epochs, as the code's 5000 steps do on CIFAR-10.

Differences from the official code, all of them its defects: it takes the cross-entropy of softmax
outputs (softmax twice) and divides by the kept count once more; the image at position 0 of the
training set removes another one from the disagreeing ones; its step count is epoch times batch.
Optimiser and schedule are the protocol's (paper: Adam, linear decay); noise rate, ramp and
`forget_rate` are those of `co_teaching`, whose class this extends. Network 0 is reported, the mean
of both beside it.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, epochs_of_share, register
from methods.co_teaching import CoTeaching
from methods.declaration import Declaration, Hyperparameters, Privileges, Uniform, hparam


class Hparams(Hyperparameters):
    # Epochs of co-teaching before, as a share; the code has 20 of 200 for CIFAR-10, 5 of 200 for
    # CIFAR-100 and half for Tiny-ImageNet.
    warmup: float = hparam(20 / 200, gt=0, le=1)
    whole: float = hparam(5000 / (200 * 390), ge=0, le=1)  # share of the epochs, see above
    tau_factor: float = hparam(1.0, ge=0, le=3, search=Uniform(0.5, 2.0))  # tau / noise rate
    exponent: float = hparam(1.0, gt=0, le=10)  # c of the ramp; the official code has no other
    ramp: float = hparam(1 / 3, gt=0, le=1)  # E_k as a share of the epochs
    forget_rate: float | None = hparam(None, ge=0, lt=1)  # tau itself; None: a multiple of the rate


DECLARATION = Declaration(
    "co_teaching_plus",
    "Co-teaching+",
    Hparams,
    Privileges.NOISE_RATE,
    paper={"ramp": 10 / 200},
    cost=2.0,
    family="sample selection",
)


def disagreement(logits: Tensor, peer_logits: Tensor) -> Tensor:
    """(B,) bool: both networks predict another class."""
    return logits.argmax(1) != peer_logits.argmax(1)


def smallest(losses: Tensor, candidates: Tensor, keep: Tensor) -> Tensor:
    """(B,) bool: the `keep` () candidates with the smallest losses (B,), ties by position."""
    order = losses.masked_fill(~candidates, math.inf).argsort(stable=True)
    return candidates & (order.argsort() < keep)


def exchange_among(
    candidates: Tensor,
    logits: Tensor,
    peer_logits: Tensor,
    labels: Tensor,
    forget_rate: float,
    whole: bool,
) -> list[Tensor]:
    """Mean losses of both networks, each over the candidates that its peer ranks lowest.

    Sizes are those of the batch whatever the number of candidates, so nothing waits for the device.

    Args:
        candidates: (B,) bool, the samples that may be chosen.
        forget_rate: 1 - R(T).
        whole: whether a batch without a candidate is learned as a whole.

    Returns:
        [loss of the network, loss of its peer, (B,) bool samples kept for the network].
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    peer_losses = F.cross_entropy(peer_logits, labels, reduction="none")
    count = candidates.sum()
    keep = ((1 - forget_rate) * count.double()).floor()
    keep = torch.where(keep == 0, count, keep)
    if whole:
        candidates = candidates | (count == 0)
        keep = keep + (count == 0) * len(labels)
    for_network = smallest(peer_losses.detach(), candidates, keep)
    for_peer = smallest(losses.detach(), candidates, keep)
    kept = keep.clamp(min=1).to(losses.dtype)
    loss, peer_loss = (losses * for_network).sum() / kept, (peer_losses * for_peer).sum() / kept
    return [loss, peer_loss, for_network]


@register(DECLARATION)
class CoTeachingPlus(CoTeaching):
    """Co-teaching, then an exchange of small-loss samples among those that divide the networks."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.warmup_epochs = epochs_of_share(hparams.warmup, task.epochs)
        self.in_stage2 = self.early = False

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.in_stage2 = epoch >= self.warmup_epochs
        self.early = epoch < self.hparams.whole * self.task.epochs

    def step(self, batch: Batch) -> dict[str, Tensor]:
        if not self.in_stage2:
            return super().step(batch)
        logits, peer_logits = self.network(batch.images), self.peer(batch.images)
        apart = disagreement(logits, peer_logits)
        loss, peer_loss, chosen = exchange_among(
            apart, logits, peer_logits, batch.labels, self.forget_rate, self.early
        )
        self.update(loss + peer_loss)
        judged = torch.where(apart, chosen.to(self.kept.dtype), self.kept[batch.index])
        self.kept[batch.index] = judged
        return {
            "loss": loss.detach(),
            "peer_loss": peer_loss.detach(),
            "disagreement": apart.to(loss.dtype).mean(),
        }

    def clean_probability(self) -> Tensor:
        """1 for samples that passed when they were last ranked; who agrees is not ranked."""
        return self.kept
