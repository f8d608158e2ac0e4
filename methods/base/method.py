"""What a method sees (`Batch`, `Task`) and what it is (`Method`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from methods.base.sampler import Sampler
from methods.declaration import Declaration, Privileges


class Batch(NamedTuple):
    """One mini-batch on the device. There is no field for clean labels of the training set.

    Attributes:
        images: (B, C, H, W) float, normalised and augmented.
        labels: (B,) int64, noisy; true in batches of the clean subset.
        index: (B,) int64, position in the training set (or in the clean subset).
        further: the views after the first that the method declares, each like `images`.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    further: tuple[Tensor, ...] = ()

    @property
    def views(self) -> tuple[Tensor, ...]:
        """All views of the images, in the order of the declaration."""
        return (self.images, *self.further)


@dataclass(frozen=True)
class Task:
    """All that a method may know of its cell.

    Attributes:
        classes, n_train, epochs, steps_per_epoch: sizes; an epoch is `steps_per_epoch` updates.
        augmented: whether training views change from epoch to epoch.
        noisy_labels: (n_train,) int64 on the device.
        make_optimizer: parameters -> the protocol's optimiser.
        learning_rate: epoch (from 0) -> the protocol's rate.
        train_in_order: -> unaugmented Batches of the whole training set, in its order.
        granted: the method's privileges; what they do not name raises PermissionError.
        clean_source: augment -> next Batch of the clean subset.
        realised_rate: share of wrong labels in the whole training part.
        matrix: (C, C) float transition matrix, rows are clean classes.
        truth: (n_train,) int64 true labels, -1 where an image has none.
        sampler: name -> a new `Sampler` of the training set, in the declared views; to be made in
            the method's constructor and kept as an attribute.
    """

    classes: int
    n_train: int
    epochs: int
    steps_per_epoch: int
    augmented: bool
    noisy_labels: Tensor
    make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    learning_rate: Callable[[int], float]
    train_in_order: Callable[[], Iterator[Batch]]
    granted: Privileges = Privileges.NONE
    clean_source: Callable[[bool], Batch] | None = None
    realised_rate: float | None = None
    matrix: Tensor | None = None
    truth: Tensor | None = None
    sampler: Callable[[str], Sampler] | None = None

    def _require(self, privilege: Privileges) -> None:
        if privilege not in self.granted:
            raise PermissionError(f"this method did not declare the privilege {privilege.names[0]}")

    def clean_batch(self, augment: bool) -> Batch:
        """The next batch of the clean subset: reshuffled every pass, every image used."""
        self._require(Privileges.CLEAN_SUBSET)
        return self.clean_source(augment)

    @property
    def noise_rate(self) -> float:
        """Share of wrong labels in the whole training part, in [0, 1)."""
        self._require(Privileges.NOISE_RATE)
        return self.realised_rate

    @property
    def transition_matrix(self) -> Tensor:
        """(C, C), row = clean class, rows sum to 1."""
        self._require(Privileges.TRANSITION_MATRIX)
        return self.matrix

    @property
    def true_labels(self) -> Tensor:
        """(n_train,) int64 true classes, -1 for images of none; for a ceiling, not for a rival."""
        self._require(Privileges.TRUE_LABELS)
        return self.truth


class Method(nn.Module):
    """One way of learning from noisy labels: its networks, optimisers and per-sample state.

    Subclasses implement `step`. State that belongs to samples lives in buffers, so `state_dict`
    together with the optimisers is all there is to save.

    Attributes:
        network: the reported network, the same initial weights for all methods of a cell's seed.
        optimizer: the protocol's optimiser of `network`.
        warmup_epochs: length of a warm-up, where the method has one.
    """

    declaration: Declaration
    warmup_epochs: int | None = None

    def __init__(
        self,
        task: Task,
        hparams: Any,
        rng: np.random.Generator,
        new_network: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.task, self.hparams, self.rng = task, hparams, rng
        self.network = new_network()
        self.optimizer = task.make_optimizer(self.network.parameters())

    def begin_epoch(self, epoch: int) -> None:
        """Called before the first step of each epoch (from 0): schedules, pruning, ramps."""
        set_learning_rate(self.optimizer, self.task.learning_rate(epoch))

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One update. Returns scalars to log as tensors on the device, "loss" among them."""
        raise NotImplementedError

    def end_epoch(self, epoch: int) -> None:
        """Called after the last step of each epoch (from 0), before anything is evaluated."""

    def predict(self, images: Tensor) -> Tensor:
        """(B, C) class probabilities of the reported network."""
        return self.network(images).softmax(1)

    def predict_members(self, images: Tensor) -> Tensor:
        """(M, B, C): the reported network first; overridden by methods with several networks."""
        return self.predict(images).unsqueeze(0)

    def corrected_labels(self) -> Tensor | None:
        """(n_train, C) soft labels that the method would put in place of the given ones."""
        return None

    def clean_probability(self) -> Tensor | None:
        """(n_train,) probability that a given label is right; above 0.5 counts as selected."""
        return None

    def update(self, loss: Tensor) -> None:
        """One step of `optimizer` down the gradient of `loss`."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


class LossMethod(Method):
    """A method that only changes the criterion: subclasses write `loss`."""

    def loss(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Scalar training loss of logits (B, C) on noisy labels (B,) of the samples `index`."""
        raise NotImplementedError

    def step(self, batch: Batch) -> dict[str, Tensor]:
        loss = self.loss(self.network(batch.images), batch.labels, batch.index)
        self.update(loss)
        return {"loss": loss.detach()}


def register(declaration: Declaration) -> Callable[[type[Method]], type[Method]]:
    """Class decorator: ties a method's class to its declaration."""

    def decorate(cls: type[Method]) -> type[Method]:
        cls.declaration = declaration
        return cls

    return decorate


def overrides(method_class: type[Method], name: str) -> bool:
    """Whether a class has its own version of a method of `Method`.

    A method that overrides `predict_members`, `corrected_labels` or `clean_probability` has an
    ensemble, corrected labels or clean probabilities.
    """
    return getattr(method_class, name) is not getattr(Method, name)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def epochs_of_share(share: float, epochs: int) -> int:
    """A duration given as a share of all epochs: rounded, at least one epoch."""
    return max(1, round(share * epochs))


def outputs_in_order(network: nn.Module, task: Task) -> Tensor:
    """(n_train, C) logits of the unaugmented training images in eval mode, without gradient."""
    was_training = network.training
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(batch.images) for batch in task.train_in_order()])
    network.train(was_training)
    return logits


def uploaded(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """A tensor of what is on the host, on the device, without waiting for the copy."""
    tensor = torch.as_tensor(values).contiguous()
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
