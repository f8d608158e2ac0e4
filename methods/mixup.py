"""Mixup (Zhang et al., ICLR 2018, arXiv 1710.09412).

Every batch is mixed with a shuffled copy of itself: images lambda x + (1 - lambda) x', and the loss
in the same shares of both labels, lambda ~ Beta(alpha, alpha), one a batch. Large alpha is the
paper's own answer to noisy labels (8 and 32 there).

The images that the network sees are mixed ones: nothing is followed of a single image in training.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, register, uploaded
from methods.declaration import Declaration, Hyperparameters, LogUniform, hparam


class Hparams(Hyperparameters):
    # The paper's for CIFAR. Widened from 100, then from 1000: the upper quarter of the draws was
    # above the others.
    alpha: float = hparam(1.0, gt=0, le=1e6, search=LogUniform(0.1, 1e4, widened=2))


DECLARATION = Declaration("mixup", "Mixup", Hparams, family="regularisation")


def draws_of_epoch(
    rng: np.random.Generator, alpha: float, steps: int, size: int
) -> tuple[list[float], Tensor]:
    """Shares lambda of an epoch's steps, and keys (steps, size): a batch's order is their argsort.

    Drawn on the host for a whole epoch: the same on every device, and no step waits for it.
    """
    shares = rng.beta(alpha, alpha, steps).tolist()
    return shares, torch.from_numpy(rng.random((steps, size), dtype=np.float32))


def draws_for_two(
    rng: np.random.Generator, alpha: float, steps: int, size: int
) -> tuple[list[list[float]], Tensor]:
    """Draws of an epoch for two networks: keys are (2, steps, size), shares a half or more.

    So the larger part of a mixture is the image's own, as MixMatch has it.
    """
    draws = [draws_of_epoch(rng, alpha, steps, size) for _ in range(2)]
    shares = [[max(share, 1 - share) for share in shares] for shares, _ in draws]
    return shares, torch.stack([keys for _, keys in draws])


def mixed(values: Tensor, share: float, order: Tensor) -> Tensor:
    """Each row in its share with that of another sample."""
    return share * values + (1 - share) * values[order]


@register(DECLARATION)
class Mixup(Method):
    """Mean cross-entropy of mixed images, in the shares of their labels."""

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        steps = self.task.steps_per_epoch
        size = self.task.n_train // steps
        self.shares, keys = draws_of_epoch(self.rng, self.hparams.alpha, steps, size)
        self.keys = uploaded(keys, self.task.noisy_labels.device)
        self.taken = 0

    def step(self, batch: Batch) -> dict[str, Tensor]:
        share = self.shares[self.taken]
        order = self.keys[self.taken, : len(batch.labels)].argsort()
        self.taken += 1
        logits = self.network(mixed(batch.images, share, order))
        loss = share * F.cross_entropy(logits, batch.labels)
        loss = loss + (1 - share) * F.cross_entropy(logits, batch.labels[order])
        self.update(loss)
        return {"loss": loss.detach()}
