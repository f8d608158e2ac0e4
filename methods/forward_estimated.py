"""Loss correction with a transition matrix of the method's own (Patrini et al., CVPR 2017).

After a warm-up on the noisy labels, the training image with the largest p_i stands for the images
that are truly of class i, and the network's probabilities of it are row i of T (eqs. 12 and 13).
From then on the loss is corrected by T, as in `forward`. As in the official code (giorgiop/
loss-correction, no licence, consulted only) the largest 3 % of p_i count as outliers and are passed
over; `filter: false` takes the largest. There the filter also writes zeros into the probabilities
that later rows are read from; here it does not.

Differences: the network goes on from the warm-up, where the paper trains a second one; the warm-up
takes half of the epochs, as 120 of 240 in a published configuration.
"""

import numpy as np
import torch
from torch import Tensor

from methods.base import Batch, outputs_in_order, register
from methods.base.warmup import WarmupMethod
from methods.declaration import Choice, Declaration, Hyperparameters, hparam
from methods.forward import corrected_losses, inverse


class Hparams(Hyperparameters):
    warmup: float = hparam(120 / 240, gt=0, le=1)  # share of the epochs
    filter: bool = hparam(True, search=Choice((True, False)))
    backward: bool = hparam(False)


DECLARATION = Declaration(
    "forward_estimated", "Forward, estimated T", Hparams, family="loss correction"
)

PERCENTILE = 97  # of p_i; what is not below it is an outlier


def estimated_matrix(probabilities: Tensor, without_outliers: bool) -> Tensor:
    """T (C, C) out of the probabilities (N, C) of training images, rows sum to 1."""
    p = probabilities.cpu().double().numpy()
    candidates = p
    if without_outliers:
        candidates = np.where(p < np.percentile(p, PERCENTILE, axis=0), p, 0.0)
    rows = p[candidates.argmax(0)]
    return torch.from_numpy(rows / rows.sum(1, keepdims=True))


@register(DECLARATION)
class ForwardEstimated(WarmupMethod):
    """Warm-up, one look at all training images, then the corrected loss."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        nothing_flipped = torch.eye(task.classes, device=task.noisy_labels.device)
        self.register_buffer("matrix", nothing_flipped)

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        if epoch == self.warmup_epochs:
            probabilities = outputs_in_order(self.network, self.task).softmax(1)
            matrix = estimated_matrix(probabilities, self.hparams.filter)
            self.matrix.copy_(inverse(matrix) if self.hparams.backward else matrix)

    def stage2_step(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.network(batch.images)
        loss = corrected_losses(logits, batch.labels, self.matrix, self.hparams.backward).mean()
        self.update(loss)
        return {"loss": loss.detach()}
