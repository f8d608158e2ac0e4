"""ELR+ (Liu et al., NeurIPS 2020, arXiv 2007.00151): ELR with two networks, averages and mixup.

Each network owns a moving average of its weights and targets of the training samples. Targets of a
network move towards what the *other* network's average says of the un-mixed images; the network
itself learns from mixup of the batch, in which images, labels and targets are mixed in the same
shares, by the loss of `elr` on these.

As in the official code (shengliu66/ELR, MIT, consulted only) predictions are clipped in the loss
and not in the targets, the larger share of a mixture is the image's own, averages hold parameters
alone and see images in training mode, and their decay gamma rises as exp(-5 (1 - u)^2) over u, the
share of the ramp that is over (`gamma_ramp: 0`: the plain mean until gamma is reached, the code's
other variant). For 100 classes the code multiplies mixed labels with the mixed targets:
`labels_times_targets`.

Differences: optimiser and schedule are the protocol's; both networks take one step on the same
batch, where the code trains them in turn for an epoch each; averages begin as their networks, not
as networks of their own. Steps of the paper are shares of the run here (its ramps of 40,000 steps),
and gamma holds for its 352 steps an epoch: 0.997 is taken to the power of 352 / steps of an epoch,
so that an average forgets as much in an epoch as the paper's. Network 0 is reported, the mean of
both beside it. Without augmentation (the mini set) there is no second view of an image: averages
judge the very images that are mixed.
"""

import copy
import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, register, uploaded
from methods.declaration import Declaration, Hyperparameters, LogUniform, Uniform, hparam
from methods.elr import CLIP, ELR, move_targets, pull
from methods.mixup import draws_for_two, mixed


class Hparams(Hyperparameters):
    STEPS: ClassVar[int] = 352  # of the paper's epoch: 45,000 images in batches of 128

    beta: float = hparam(0.7, ge=0, lt=1, search=Uniform(0.5, 0.99))
    lam: float = hparam(3.0, gt=0, le=1000, search=LogUniform(0.3, 30))  # lambda
    ramp: float = hparam(0.0, ge=0, le=1)  # of lambda, a share of the steps; CIFAR-100: 0.4545
    alpha: float = hparam(1.0, gt=0, le=1000, search=LogUniform(0.1, 10))  # of mixup
    gamma: float = hparam(0.997, ge=0, lt=1)  # decay of the averages at the paper's steps
    gamma_ramp: float = hparam(40_000 / (200 * 352), ge=0, le=1)  # a share of the steps
    labels_times_targets: bool = hparam(False)


DECLARATION = Declaration("elr_plus", "ELR+", Hparams, cost=2.7, family="regularisation")


def ramp_up(step: int, steps: float) -> float:
    """exp(-5 (1 - step / steps)^2), 1 from `steps` on."""
    return math.exp(-5 * (1 - step / steps) ** 2) if step < steps else 1.0


def average_decay(step: int, gamma: float, ramp_steps: float) -> float:
    """Weight of an average's past at the step that is counted from 1."""
    if ramp_steps == 0:
        return min(1 - 1 / (step + 1), gamma)
    return gamma * ramp_up(step + 1, ramp_steps)


def move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay average + (1 - decay) network, in the parameters."""
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight.detach(), 1 - decay)


@register(DECLARATION)
class ELRPlus(ELR):
    """Each network learns mixtures under targets of the other network's average."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.register_buffer("peer_targets", torch.zeros_like(self.targets))
        self.peer = new_network()
        both = [*self.network.parameters(), *self.peer.parameters()]
        self.optimizer = task.make_optimizer(both)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.peer_average = copy.deepcopy(self.peer).requires_grad_(False)
        steps = task.epochs * task.steps_per_epoch
        self.ramp_steps, self.gamma_steps = hparams.ramp * steps, hparams.gamma_ramp * steps
        self.gamma = hparams.gamma ** (hparams.STEPS / task.steps_per_epoch)
        self.steps = 0

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        steps = self.task.steps_per_epoch
        size = self.task.n_train // steps
        self.shares, keys = draws_for_two(self.rng, self.hparams.alpha, steps, size)
        self.keys = uploaded(keys, self.task.noisy_labels.device)
        self.taken = 0

    def step(self, batch: Batch) -> dict[str, Tensor]:
        self.steps += 1
        share, peer_share = (shares[self.taken] for shares in self.shares)
        order, peer_order = self.keys[:, self.taken, : len(batch.labels)].argsort(1)
        self.taken += 1
        targets = self.judged(self.peer_average, self.targets, batch)
        peer_targets = self.judged(self.average, self.peer_targets, batch)
        loss = self.mixup_loss(self.network, batch, targets, share, order)
        peer_loss = self.mixup_loss(self.peer, batch, peer_targets, peer_share, peer_order)
        self.update(loss + peer_loss)
        decay = average_decay(self.steps, self.gamma, self.gamma_steps)
        move_average(self.average, self.network, decay)
        move_average(self.peer_average, self.peer, decay)
        return {"loss": loss.detach(), "peer_loss": peer_loss.detach()}

    def judged(self, average: nn.Module, targets: Tensor, batch: Batch) -> Tensor:
        """(B, C) targets after they have moved towards what an average says of the images."""
        with torch.no_grad():
            p = average(batch.images).softmax(1)
        return move_targets(targets, p, batch.index, self.hparams.beta)

    def mixup_loss(
        self, network: nn.Module, batch: Batch, targets: Tensor, share: float, order: Tensor
    ) -> Tensor:
        """Loss of a network on a mixture of the batch with itself in another order (B,)."""
        given = F.one_hot(batch.labels, self.task.classes).to(targets.dtype)
        logits = network(mixed(batch.images, share, order))
        return self.plus_loss(logits, mixed(given, share, order), mixed(targets, share, order))

    def plus_loss(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """ELR's loss of logits under mixed labels and targets, all (B, C)."""
        if self.hparams.labels_times_targets:
            labels = labels * targets
            labels = labels / labels.sum(1, keepdim=True)
        p = logits.softmax(1).clamp(CLIP, 1 - CLIP)
        weight = self.hparams.lam * ramp_up(self.steps, self.ramp_steps)
        return F.cross_entropy(logits, labels) + weight * pull(targets, p)

    def predict_members(self, images: Tensor) -> Tensor:
        return torch.stack([self.network(images).softmax(1), self.peer(images).softmax(1)])
