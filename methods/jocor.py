"""JoCoR (Wei et al., CVPR 2020, arXiv 2003.02752): two networks learn to agree.

Both see the same batch under one joint loss, (1 - lambda) of their cross-entropies and lambda of
the divergence between their predictions in both directions; both learn from the same share R(T) of
samples with the smallest joint loss. Targets of the divergence are not detached, as in the official
code (hongxin001/JoCoR, no licence, consulted only).

Differences: optimiser and schedule are the protocol's (paper: Adam, linear decay); noise rate, ramp
and `forget_rate` are those of `co_teaching`, whose class this extends. Network 0 is reported, the
mean of both beside it.
"""

import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, register
from methods.co_teaching import CoTeaching, kept_count, small_loss
from methods.declaration import Declaration, Hyperparameters, Privileges, Uniform, hparam


class Hparams(Hyperparameters):
    lam: float = hparam(
        0.9, ge=0, le=1, search=Uniform(0.0, 0.95)
    )  # lambda; asymmetric: 0.65 and up
    tau_factor: float = hparam(1.0, ge=0, le=3, search=Uniform(0.5, 2.0))  # tau / noise rate
    exponent: float = hparam(1.0, gt=0, le=10)  # c of the ramp; the official code has no other
    ramp: float = hparam(1 / 3, gt=0, le=1)  # T_k as a share of the epochs
    forget_rate: float | None = hparam(None, ge=0, lt=1)  # tau itself; None: a multiple of the rate


DECLARATION = Declaration(
    "jocor",
    "JoCoR",
    Hparams,
    Privileges.NOISE_RATE,
    paper={"ramp": 10 / 200},
    cost=2.0,
    family="sample selection",
)


def joint_losses(logits: Tensor, peer_logits: Tensor, labels: Tensor, lam: float) -> Tensor:
    """(B,) joint loss of each sample, eqs. 1 to 3."""
    log_p, log_q = logits.log_softmax(1), peer_logits.log_softmax(1)
    fit = F.nll_loss(log_p, labels, reduction="none") + F.nll_loss(log_q, labels, reduction="none")
    # KL(p || q) + KL(q || p)
    apart = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(1)
    return (1 - lam) * fit + lam * apart


@register(DECLARATION)
class JoCoR(CoTeaching):
    """Two networks, one loss, one choice of samples a step."""

    def step(self, batch: Batch) -> dict[str, Tensor]:
        logits, peer_logits = self.network(batch.images), self.peer(batch.images)
        losses = joint_losses(logits, peer_logits, batch.labels, self.hparams.lam)
        keep = kept_count(self.forget_rate, len(batch.labels))
        chosen = small_loss(losses.detach(), keep)
        loss = losses[chosen].mean()
        self.update(loss)
        # Not `kept[...] = 0.0`: that uploads the number and waits for it.
        self.kept.index_fill_(0, batch.index, 0.0)
        self.kept.index_fill_(0, batch.index[chosen], 1.0)
        return {"loss": loss.detach()}
