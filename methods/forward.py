"""Loss correction with a known transition matrix (Patrini et al., CVPR 2017, arXiv 1609.03683).

Forward: the network's p is multiplied by T before it meets the given label, so that p itself fits
the true one: L = -log (p^T T)_y. `backward: true` multiplies the vector of losses by the inverse of
T instead; it is unbiased, may be negative, and is not defined for a T without inverse.

T is granted, rows are true classes; `forward_estimated` finds its own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import LossMethod, register
from methods.declaration import Declaration, Hyperparameters, Privileges, hparam


class Hparams(Hyperparameters):
    backward: bool = hparam(False)


DECLARATION = Declaration(
    "forward", "Forward", Hparams, Privileges.TRANSITION_MATRIX, family="loss correction"
)

LEAST_P = 1e-7  # below it a corrected probability counts as this, as in the official code


def forward_losses(logits: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """(B,) -log (p^T T)_y, theorem 2."""
    noisy = logits.softmax(1).clamp(LEAST_P, 1 - LEAST_P) @ transition
    return F.nll_loss(noisy.log(), labels, reduction="none")


def backward_losses(logits: Tensor, labels: Tensor, inverse: Tensor) -> Tensor:
    """(B,) (T^-1 l)_y with l_k = -log p_k, theorem 1; `inverse` is T^-1."""
    each = -logits.softmax(1).clamp(LEAST_P, 1 - LEAST_P).log()
    return (each @ inverse.T).gather(1, labels[:, None]).squeeze(1)


def corrected_losses(logits: Tensor, labels: Tensor, matrix: Tensor, backward: bool) -> Tensor:
    """(B,) corrected losses; `matrix` is T, or its inverse for the backward correction."""
    return (backward_losses if backward else forward_losses)(logits, labels, matrix)


def inverse(matrix: Tensor) -> Tensor:
    """The inverse of T (C, C); ValueError where it has none."""
    if torch.linalg.matrix_rank(matrix) < len(matrix):
        raise ValueError("forward: this transition matrix has no inverse: must be backward: false")
    return torch.linalg.inv(matrix)


@register(DECLARATION)
class Forward(LossMethod):
    """Cross-entropy behind the transition matrix, or corrected by its inverse."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        matrix = task.transition_matrix
        # In double precision on the host: near-singular matrices lose digits otherwise.
        used = inverse(matrix.cpu().double()) if hparams.backward else matrix
        self.register_buffer("matrix", used.to(matrix))

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        return corrected_losses(logits, labels, self.matrix, self.hparams.backward).mean()
