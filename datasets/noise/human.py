"""Labels that people gave, CIFAR-10N and CIFAR-100N (Wei et al., ICLR 2022), and a random twin."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from datasets.base import Dataset
from datasets.human_labels import SETS, HumanLabels, counts
from datasets.noise.base import NoiseModel, checked_labels, draw, register


class HumanNoise(NoiseModel):
    """What both have in common: a set of labels, of a data set that has it."""

    labels: Literal[SETS]

    @property
    def nominal_rate(self) -> float:
        """Share of wrong labels in the whole set, as counted."""
        found = counts(self.labels)
        return float(1 - np.trace(found) / found.sum())

    def _file(self, dataset: Dataset) -> HumanLabels:
        """The data set's label file.

        Raises:
            ValueError: it has no such labels.
        """
        human = getattr(dataset, "human_labels", None)
        known = list(human.sets) if human else []
        if self.labels not in known:
            has = f"must be {' or '.join(known)}" if known else "there are none of it"
            raise ValueError(f"human labels {self.labels} of {dataset.name}: {has}")
        return human


@register
class Human(HumanNoise):
    """One set of human labels, the same for all seeds.

    CIFAR-10N: `aggregate` (majority of three people), `random1` to `random3` (one of them each),
    `worst` (a wrong one wherever there is one); CIFAR-100N: `fine`, and `coarse` for the data set
    `cifar100_coarse`. Whether the file fits the images is checked at every draw.
    """

    name: Literal["human"] = "human"
    needs: ClassVar[tuple[str, ...]] = ("data_root",)
    random: ClassVar[bool] = False

    def check(self, dataset: Dataset, root: Path | None) -> None:
        self._file(dataset).find(root, dataset)

    def transition_matrix(self, dataset: Dataset) -> None:
        """None: people look at images, not only at classes.

        Raises:
            ValueError: the data set has no such labels.
        """
        self._file(dataset)

    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        data_root: Path | None,
    ) -> np.ndarray:
        return self._file(dataset).read(data_root, dataset, labels, self.labels)


@register
class HumanTwin(HumanNoise):
    """Random labels with the transition matrix that human labels have, counted over the whole set.

    The same classes are mistaken for each other as often, but not on the same images: what a method
    loses between the two is what the dependence on images costs.
    """

    name: Literal["human_twin"] = "human_twin"

    def transition_matrix(self, dataset: Dataset) -> np.ndarray:
        """As in the base class.

        Raises:
            ValueError: the data set has no such labels.
        """
        self._file(dataset)
        found = counts(self.labels)
        return found / found.sum(1, keepdims=True)

    def corrupt(self, labels: np.ndarray, dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
        return draw(checked_labels(labels, dataset), self.transition_matrix(dataset), rng)
