"""Components that break one promise each."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from datasets.base import Arrays, DataError, Dataset
from datasets.noise.base import NoiseModel, Rate
from methods.base import Method, register
from methods.declaration import Declaration, Hyperparameters, Privileges, hparam
from networks.base import Network


class Plain(Method):
    def step(self, batch):
        loss = F.cross_entropy(self.network(batch.images), batch.labels)
        self.update(loss)
        return {"loss": loss.detach()}


@register(Declaration("still", "Still"))
class Still(Plain):
    def update(self, loss):
        pass


@register(Declaration("silent", "Silent"))
class Silent(Plain):
    def step(self, batch):
        return {"cost": super().step(batch)["loss"]}


@register(Declaration("forgetful", "Forgetful"))
class Forgetful(Plain):
    """Keeps its state where no checkpoint looks."""

    steps: ClassVar[dict[int, int]] = {}

    def step(self, batch):
        self.steps[id(self)] = self.steps.get(id(self), 0) + 1
        self.optimizer.param_groups[0]["lr"] = 0.01 * self.steps[id(self)]
        return super().step(batch)


@register(Declaration("odd", "Odd"))
class Odd(Plain):
    """Draws from a source of its own."""

    def step(self, batch):
        noise = torch.from_numpy(np.random.default_rng().normal(size=batch.images.shape)).float()
        return super().step(batch._replace(images=batch.images + noise))


@register(Declaration("unfair", "Unfair"))
class Unfair(Plain):
    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, lambda: new_network() and new_network())


class Unread(Hyperparameters):
    used: float = hparam(0.5, ge=0, le=1)
    unused: float = hparam(0.5, ge=0, le=1)


@register(Declaration("claiming", "Claiming", Unread, Privileges.CLEAN_SUBSET))
class Claiming(Plain):
    """Declares more than it uses."""

    def step(self, batch):
        logged = super().step(batch)
        return {"loss": logged["loss"] * self.hparams.used}


@register(Declaration("raw", "Raw"))
class Raw(Plain):
    def predict(self, images):
        return self.network(images)


@register(Declaration("short", "Short"))
class Short(Plain):
    def clean_probability(self):
        return torch.ones(3)


class Squares(Dataset):
    """Says that it has more images, other pixels and other classes than it has."""

    name, display = "squares", "Squares"
    class_names = ("a", "b", "b")
    channels, size, n_train, n_test = 1, 8, 60, 30
    mean, std = (0.9,), (0.5,)
    clean_subset, how_to_get = 3, "it is made on the fly"
    images = 60
    seed: int | None = 0

    def check(self, root):
        pass

    def load(self, root):
        rng = np.random.default_rng(self.seed)
        pixels = rng.integers(0, 255, (self.images, 1, 8, 8), dtype=np.uint8)
        labels = np.arange(self.images) % 2
        return Arrays.of(pixels, labels, pixels[:30], labels[:30])


class TooFew(Squares):
    images = 59


class EveryTimeOther(Squares):
    seed = None


class Gone(Squares):
    def check(self, root):
        raise DataError("squares is not there: put it there")


class Fixed(NoiseModel):
    """Flips the first labels, whatever the seed, also with rate 0."""

    name: Literal["fixed"] = "fixed"
    rate: Rate = 0.1

    @property
    def nominal_rate(self) -> float:
        return 1.5

    @property
    def slug(self) -> str:
        return "a/b"

    def corrupt(self, labels, dataset, rng):
        noisy = labels.copy()
        noisy[:100] = (noisy[:100] + 1) % dataset.classes
        return noisy

    def transition_matrix(self, dataset):
        return np.full((dataset.classes, dataset.classes), 1 / dataset.classes)


class InPlace(Fixed):
    def corrupt(self, labels, dataset, rng):
        labels[0] = 1
        return labels


class Beyond(Fixed):
    def corrupt(self, labels, dataset, rng):
        return labels + dataset.classes


class OwnRandomness(Fixed):
    def corrupt(self, labels, dataset, rng):
        return np.random.default_rng().integers(0, dataset.classes, len(labels))


def headless(channels: int, size: int, classes: int) -> nn.Module:
    """Has neither features nor a head, and one class too many."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes + 1))


class Unseeded(Network):
    """Weights of its own, a parameter without a use, and dropout in eval mode."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__(
            nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 8)), 8, classes
        )
        self.unused = nn.Parameter(torch.zeros(3))
        generator = torch.Generator()
        generator.seed()
        with torch.no_grad():
            self.head.weight.normal_(generator=generator)

    def forward(self, images):
        return F.dropout(super().forward(images), 0.5, training=True)
