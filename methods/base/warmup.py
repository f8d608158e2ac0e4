"""Warm-up on the noisy labels, the first stage of several methods.

Early in training a network fits the clean labels first (Arpit et al., ICML 2017, arXiv 1706.05394),
so a few epochs of cross-entropy give a start that the second stage can build on. All methods with
the same warm-up share have the same weights at its end, bit for bit.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, epochs_of_share


class WarmupMethod(Method):
    """Cross-entropy for a share of the epochs (`hparams.warmup`), then `stage2_step`.

    In the warm-up only `network` and `optimizer` change, so their state is the whole of it.

    Attributes:
        in_stage2: whether the warm-up is over; set by `begin_epoch`.
    """

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.warmup_epochs = epochs_of_share(hparams.warmup, task.epochs)
        self.in_stage2 = False

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.in_stage2 = epoch >= self.warmup_epochs

    def step(self, batch: Batch) -> dict[str, Tensor]:
        if self.in_stage2:
            return self.stage2_step(batch)
        loss = F.cross_entropy(self.network(batch.images), batch.labels)
        self.update(loss)
        return {"loss": loss.detach()}

    def stage2_step(self, batch: Batch) -> dict[str, Tensor]:
        """One update after the warm-up; returns what `step` returns."""
        raise NotImplementedError
