"""Co-teaching (Han et al., NeurIPS 2018, arXiv 1804.06872): two networks teach each other.

Each network ranks the mini-batch by its loss; its peer learns from the small-loss share R(T), which
falls from 1 to 1 - tau as memorisation sets in. Reference code: bhanML/Co-teaching (no licence,
consulted only).

Differences from the paper: optimiser and schedule are the protocol's (paper: Adam, linear decay);
T_k is a third of the epochs (paper track: 10 of 200, as published); tau is `forget_rate` if set,
else from the realised rate of the whole training part, or where that is not known from the stated
or estimated one. The loss is the mean over the kept samples (the official code divides by
their number once more, which Adam cancels and SGD would not). The forget rate is the paper's
tau * min(T^c / T_k, 1) with T = 0 in the first epoch; the official code's ramp goes to tau^c, and
its first trained epoch forgets tau / 9 already. Network 0 is reported, the mean of both beside it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, epochs_of_share, register
from methods.declaration import Choice, Declaration, Hyperparameters, Privileges, Uniform, hparam


class Hparams(Hyperparameters):
    # tau as a multiple of the noise rate, section 5; the paper's ablation goes from 0.5 to 1.5.
    # Widened from 1.5 and from 2: the upper quarter of twelve draws was above the others.
    tau_factor: float = hparam(1.0, ge=0, le=3, search=Uniform(0.5, 2.7, widened=2))
    exponent: float = hparam(1.0, gt=0, le=10, search=Choice((0.5, 1.0, 2.0)))  # c
    ramp: float = hparam(1 / 3, gt=0, le=1)  # T_k as a share of the epochs
    forget_rate: float | None = hparam(None, ge=0, lt=1)  # tau itself; None: a multiple of the rate


DECLARATION = Declaration(
    "co_teaching",
    "Co-teaching",
    Hparams,
    Privileges.NOISE_RATE,
    paper={"ramp": 10 / 200},
    cost=2.0,
    family="sample selection",
)


def small_loss(losses: Tensor, keep: int) -> Tensor:
    """(keep,) positions of the smallest of the losses (B,), ties by position."""
    return losses.argsort(stable=True)[:keep]


def exchange(logits: Tensor, peer_logits: Tensor, labels: Tensor, keep: int) -> list[Tensor]:
    """Mean losses of both networks, each over the `keep` samples that its peer ranks lowest.

    Returns:
        [loss of the network, loss of its peer, positions kept for the network].
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    peer_losses = F.cross_entropy(peer_logits, labels, reduction="none")
    for_network = small_loss(peer_losses.detach(), keep)
    for_peer = small_loss(losses.detach(), keep)
    return [losses[for_network].mean(), peer_losses[for_peer].mean(), for_network]


def kept_count(forget_rate: float, size: int) -> int:
    """How many of `size` samples stay: R(T) * size, rounded down, at least one."""
    return max(1, int((1 - forget_rate) * size))


@register(DECLARATION)
class CoTeaching(Method):
    """Two networks, one exchange of small-loss samples a step."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.peer = new_network()
        both = [*self.network.parameters(), *self.peer.parameters()]
        self.optimizer = task.make_optimizer(both)
        tau = hparams.forget_rate
        self.tau = min(hparams.tau_factor * task.noise_rate, 0.99) if tau is None else tau
        kept = torch.ones(task.n_train, device=task.noisy_labels.device)
        self.register_buffer("kept", kept)
        self.forget_rate = 0.0

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        ramp = epochs_of_share(self.hparams.ramp, self.task.epochs)
        self.forget_rate = self.tau * min(epoch**self.hparams.exponent / ramp, 1.0)  # 1 - R(T)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        keep = kept_count(self.forget_rate, len(batch.labels))
        loss, peer_loss, chosen = exchange(
            self.network(batch.images), self.peer(batch.images), batch.labels, keep
        )
        self.update(loss + peer_loss)
        # Not `kept[...] = 0.0`: that uploads the number and waits for it.
        self.kept.index_fill_(0, batch.index, 0.0)
        self.kept.index_fill_(0, batch.index[chosen], 1.0)
        return {"loss": loss.detach(), "peer_loss": peer_loss.detach()}

    def predict_members(self, images: Tensor) -> Tensor:
        return torch.stack([self.network(images).softmax(1), self.peer(images).softmax(1)])

    def clean_probability(self) -> Tensor:
        """1 for the samples that the reported network last learned from, 0 for the others."""
        return self.kept
