"""Meta-learning to learn from noisy labels (Li et al., CVPR 2019, arXiv 1812.05214).

A network should not be thrown off by wrong labels: after one step on synthetic ones it should still
predict what its teacher, a running average of its own weights, predicts. After a warm-up, every
step draws M sets of synthetic labels for its batch, a random half of which comes from one of the
ten nearest neighbours in the batch; theta' = theta - eta grad CE(synthetic labels); and the mean of
KL(teacher || f_theta') over the M sets is added to the cross-entropy of the given labels, with a
weight that rises from nearly 0 to 1 as exp(-5 (1 - u)^2). The gradient is that through theta', of
second order and exact (`second_order: false` is without the Hessian).

As in the official code (LiJunnan1992/MLNT, no licence, consulted only): KL is a mean over samples
and classes; the teacher is averaged before it predicts and keeps BatchNorm statistics of its own;
its decay is 0.99 while the weight rises and 0.999 then. Neighbours are those by the features of a
network that was trained by cross-entropy.

Differences. That network is the student as the warm-up left it (paper: a training before this one),
and there is one round (paper: three, in which the best network so far is a mentor of the next).
The paper's run is 31,250 updates (Clothing1M, one epoch): the rise is its share of those after the
warm-up, and a decay is raised to the power 31,250 / updates, so that the teacher remembers the same
share of the training. Paper and code report the better of student and teacher on clean validation
images; the student is reported here, the mean of both beside it. Batches of ten images and fewer
draw from all others.
"""

import copy
import functools
import math
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, register, uploaded
from methods.base.warmup import WarmupMethod
from methods.declaration import Declaration, Hyperparameters, LogUniform, Uniform, hparam
from methods.lookahead import ThroughStep


class Hparams(Hyperparameters):
    UPDATES: ClassVar[int] = 31_250  # of the paper's run: a million images in batches of 32
    NEIGHBOURS: ClassVar[int] = 10

    warmup: float = hparam(44 / 120, gt=0, le=1)  # as a share of the epochs
    ramp: float = hparam(1500 / 31_250, gt=0, le=1)  # rise of the weight, of what is left
    # Rate of the look-ahead: the paper's; the official script has 0.02 by now.
    eta: float = hparam(0.2, gt=0, le=100, search=LogUniform(0.01, 2))
    weight: float = hparam(1.0, ge=0, le=1000, search=LogUniform(0.1, 100))  # after the rise
    perturbations: int = hparam(10, ge=1, le=1000)  # M
    rho: float = hparam(0.5, ge=0, le=1, search=Uniform(0.2, 0.8))  # share of labels that change
    decay_rising: float = hparam(0.99, ge=0, lt=1)  # gamma of the teacher while the weight rises
    decay: float = hparam(0.999, ge=0, lt=1)  # gamma then
    second_order: bool = hparam(True)


DECLARATION = Declaration("mlnt", "MLNT", Hparams, cost=37.0, family="meta-learning")


def divergence(logits: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || softmax(logits)): scalar mean over samples and classes, both (B, C)."""
    return (torch.xlogy(teacher, teacher) - teacher * logits.log_softmax(1)).mean()


def neighbours(features: Tensor, count: int) -> Tensor:
    """(B, k) positions of the nearest others of each of the features (B, d); k = min(count, B - 1).

    An image alone is its own neighbour.
    """
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    distance = torch.cdist(features, features)
    distance.fill_diagonal_(math.inf)
    return distance.topk(max(1, min(count, len(features) - 1)), largest=False).indices


def synthetic_labels(
    labels: Tensor, near: Tensor, rho: float, keys: Tensor, picks: Tensor
) -> Tensor:
    """(M, B) labels: labels (B,), of which a share rho is that of one of the neighbours (B, k).

    Args:
        keys, picks: (M, B) in [0, 1); the smallest keys say whose label changes, picks to which.
    """
    size, k = near.shape
    changes = keys.argsort(1).argsort(1) < int(size * rho)
    chosen = (picks * k).long().clamp(max=k - 1)
    other = labels[near].expand(len(keys), -1, -1).gather(2, chosen[..., None]).squeeze(2)
    return torch.where(changes, other, labels)


@register(DECLARATION)
class MLNT(WarmupMethod):
    """Warm-up, then cross-entropy and consistency with a teacher after steps on wrong labels."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.teacher = copy.deepcopy(self.network).requires_grad_(False)
        self.encoder = copy.deepcopy(self.network).requires_grad_(False)
        left = max(1, task.epochs - self.warmup_epochs) * task.steps_per_epoch
        self.rise = max(1.0, hparams.ramp * left)  # in updates
        self.power = hparams.UPDATES / left
        self.updates = 0

    def train(self, mode: bool = True) -> "MLNT":
        super().train(mode)
        self.encoder.eval()
        return self

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        if self.in_stage2:  # drawn on the host: the same on every device, and no step waits
            steps = self.task.steps_per_epoch
            shape = (2, steps, self.hparams.perturbations, self.task.n_train // steps)
            drawn = self.rng.random(shape, dtype=np.float32)
            self.draws = uploaded(torch.from_numpy(drawn), self.task.noisy_labels.device)
            self.taken = 0

    def end_epoch(self, epoch: int) -> None:
        if not self.in_stage2:  # teacher and encoder of the first step are the student
            for network in (self.teacher, self.encoder):
                network.load_state_dict(self.network.state_dict())

    def stage2_step(self, batch: Batch) -> dict[str, Tensor]:
        self.updates += 1
        with torch.no_grad():
            self.move_teacher()
            target = self.teacher(batch.images).softmax(1)
            near = neighbours(self.encoder.features(batch.images), self.hparams.NEIGHBOURS)
        synthetic = self.draw_labels(batch.labels, near)
        ahead = ThroughStep(self.network, batch.images)
        loss = F.cross_entropy(ahead.logits, batch.labels)
        losses, slopes = self.meta_slopes(ahead, synthetic, target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for name, slope in slopes.items():
            parameter = self.network.get_parameter(name)
            parameter.grad = slope if parameter.grad is None else parameter.grad.add_(slope)
        self.optimizer.step()
        return {"loss": loss.detach(), "consistency": losses.mean()}

    def draw_labels(self, labels: Tensor, near: Tensor) -> Tensor:
        """(M, B) synthetic labels of a batch, by the next of the epoch's draws."""
        keys, picks = self.draws[:, self.taken, :, : len(labels)]
        self.taken += 1
        return synthetic_labels(labels, near, self.hparams.rho, keys, picks)

    def move_teacher(self) -> None:
        """theta~ <- gamma theta~ + (1 - gamma) theta."""
        rising = self.updates <= self.rise
        gamma = self.hparams.decay_rising if rising else self.hparams.decay
        pairs = (self.teacher.parameters(), self.network.parameters())
        for mean, parameter in zip(*pairs, strict=True):
            mean.lerp_(parameter, 1 - gamma**self.power)

    def meta_slopes(
        self, ahead: ThroughStep, synthetic: Tensor, target: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Divergences (M,) after the steps on synthetic labels (M, B), and their mean's slope."""
        losses, total = ahead.summed_slopes(
            [functools.partial(F.cross_entropy, target=labels) for labels in synthetic],
            self.hparams.eta,
            functools.partial(divergence, teacher=target),
            self.hparams.second_order,
        )
        share = self.consistency_share()
        return losses, {name: share * slope for name, slope in total.items()}

    def consistency_share(self) -> float:
        """alpha(t) / M, what each of the M divergences is multiplied with."""
        left = 1 - min(1.0, self.updates / self.rise)
        return self.hparams.weight * math.exp(-5 * left**2) / self.hparams.perturbations

    def predict_members(self, images: Tensor) -> Tensor:
        return torch.stack([self.predict(images), self.teacher(images).softmax(1)])
