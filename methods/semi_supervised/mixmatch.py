"""Targets and losses of MixMatch (Berthelot et al., NeurIPS 2019, arXiv 1905.02249) and DivideMix.

All logits, probabilities and targets are (B, C).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mean_prediction(outputs: Sequence[Tensor]) -> Tensor:
    """Mean of the probabilities that several logits give."""
    return torch.stack([logits.softmax(1) for logits in outputs]).mean(0)


def sharpened(p: Tensor, temperature: float) -> Tensor:
    """p^(1/T) with rows that sum to 1; by logarithms, where a small T does not underflow."""
    return (p.log() / temperature).softmax(1)


def refined(labels: Tensor, p: Tensor, trust: Tensor) -> Tensor:
    """Given labels (B, C) in the share `trust` (B,), predictions p in the rest."""
    share = trust.unsqueeze(1)
    return share * labels + (1 - share) * p


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over samples and classes of (p - t)^2, the loss of unlabelled images."""
    return (logits.softmax(1) - targets).square().mean()


def class_balance(logits: Tensor) -> Tensor:
    """KL of the uniform distribution and the mean prediction of a batch."""
    mean = logits.softmax(1).mean(0)
    # A class that nothing is predicted as would make it infinite.
    return -torch.log(len(mean) * mean.clamp(min=torch.finfo(mean.dtype).tiny)).mean()


def negative_entropy(logits: Tensor) -> Tensor:
    """Mean over samples of sum p log p."""
    log_p = logits.log_softmax(1)
    return (log_p.exp() * log_p).sum(1).mean()


def linear_ramp(epoch: float, start: float, length: float) -> float:
    """0 up to `start`, then in a straight line to 1 at `start` + `length`; all in epochs."""
    if epoch >= start + length:
        return 1.0
    return max(0.0, (epoch - start) / length)
