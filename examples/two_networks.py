"""A method from outside: two networks that teach each other where their memory trusts a label.

`runners/run_grid.py` finds it as `examples.two_networks:TwoNetworks`. It shows what a method may
keep: a second network with its own optimiser, and state of every training sample in a buffer. All
of it is in the checkpoints, so a cell that is cut off resumes to the same bits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, register, set_learning_rate
from methods.declaration import Declaration, Hyperparameters, Uniform, hparam


class Hparams(Hyperparameters):
    memory: float = hparam(0.7, ge=0, le=1, search=Uniform(0.5, 0.95))  # weight of the past
    trust: float = hparam(0.5, ge=0, le=1, search=Uniform(0.2, 0.8))  # least p of a label


DECLARATION = Declaration("two_networks", "Two networks", Hparams, cost=2.0)


@register(DECLARATION)
class TwoNetworks(Method):
    """Each network learns from the labels that the other's memory trusts."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        # Makes `self.network`, the reported one, and `self.optimizer` of the protocol.
        super().__init__(task, hparams, rng, new_network)
        self.second = new_network()
        self.second_optimizer = task.make_optimizer(self.second.parameters())
        # State of samples: (networks, n_train) probability of the given label, at first unknown.
        remembered = torch.ones(2, task.n_train, device=task.noisy_labels.device)
        self.register_buffer("remembered", remembered)

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)  # sets the protocol's rate of `self.optimizer`
        set_learning_rate(self.second_optimizer, self.task.learning_rate(epoch))

    def step(self, batch: Batch) -> dict[str, Tensor]:
        losses = [
            F.cross_entropy(network(batch.images), batch.labels, reduction="none")
            for network in (self.network, self.second)
        ]
        self.remember(batch, torch.stack(losses).detach())
        trusted = (self.remembered[:, batch.index] >= self.hparams.trust).float()
        # No .item() and no branch on a value: nothing waits for the device.
        first, second = (trusted[1] * losses[0]).mean(), (trusted[0] * losses[1]).mean()
        self.update(first)
        self.second_optimizer.zero_grad(set_to_none=True)
        second.backward()
        self.second_optimizer.step()
        return {"loss": first.detach(), "trusted": trusted.mean()}

    def remember(self, batch: Batch, losses: Tensor) -> None:
        """Mixes p of the given labels, exp(-loss) (2, B), into the memory of these samples."""
        past = self.remembered[:, batch.index]
        self.remembered[:, batch.index] = past.lerp((-losses).exp(), 1 - self.hparams.memory)

    def predict_members(self, images: Tensor) -> Tensor:
        return torch.stack([self.predict(images), self.second(images).softmax(1)])

    def clean_probability(self) -> Tensor:
        return self.remembered.mean(0)
