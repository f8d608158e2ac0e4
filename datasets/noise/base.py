"""What a noise model is: parameters, a transition matrix, and labels drawn from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from datasets.base import Dataset
from datasets.registry import register as register


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Rate = Annotated[
    float,
    BeforeValidator(_no_boolean),
    Field(ge=0, lt=1, allow_inf_nan=False),
    AfterValidator(abs),  # -0.0 is 0.0, and would have another slug
]
"""A finite number in [0, 1); text that reads as one (YAML's `1e-4`) is taken as the number."""


@dataclass(frozen=True)
class Corruption:
    """What a noise model makes of a training part.

    Attributes:
        labels: int64 (N,).
        images: uint8 (N, C, H, W) that training sees in place of the data set's; None: the same.
        no_true_class: bool (N,), samples that belong to none of the classes; None: there are none.
        left_out: bool (N,), samples that no part of the split gets; None: there are none.
        facts: name -> number, what a reader of the record should know of the draw.
    """

    labels: np.ndarray
    images: np.ndarray | None = None
    no_true_class: np.ndarray | None = None
    left_out: np.ndarray | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


class NoiseModel(BaseModel, ABC):
    """Parameters of one way to corrupt labels. Subclasses add `name: Literal[...]` and fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    needs: ClassVar[tuple[str, ...]] = ()
    """What `corrupt` is given beside labels, by name: "images" (uint8 (N, C, H, W)), "given" (int64
    (N,), the labels as they came), other per-sample inputs (`Arrays.train_inputs`), or "data_root"
    (Path | None, where files of labels or other data sets are looked for first)."""

    wants: ClassVar[tuple[str, ...]] = ()
    """What it is given as well where the data set has it."""

    needs_truth: ClassVar[bool] = True
    """Whether it corrupts true labels; else it works without, and may meet `UNKNOWN` ones."""

    random: ClassVar[bool] = True
    """Whether another seed gives other labels."""

    name: str

    @property
    @abstractmethod
    def nominal_rate(self) -> float | None:
        """The rate that the study asks for, as written; what it means, the model's text says.

        None where nobody has said one.
        """

    def transition_matrix(self, dataset: Dataset) -> np.ndarray | None:
        """Probability of each noisy label given the true one: float64 (C, C), rows sum to 1.

        None where there is no such matrix, as the noise depends on more than the class.

        Raises:
            ValueError: this noise is not defined for the data set.
        """
        return None

    @abstractmethod
    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        **inputs: np.ndarray,
    ) -> np.ndarray | Corruption:
        """Draws noisy labels.

        Args:
            labels: true labels, integers (N,), values 0..C-1, read-only.
            dataset: the data set that they belong to.
            rng: source of all randomness.
            inputs: what `needs` names, N rows each, read-only (but "data_root").

        Returns:
            int64 (N,), a new array; or a `Corruption` where more than labels changes.

        Raises:
            ValueError: this noise is not defined for the data set, or a label is out of range.
        """

    def stamp(self, root: Path | None) -> str:
        """Text that is another one once a file behind the parameters has changed; else empty.

        Args:
            root: of the data sets, as of `Dataset.load`.

        Raises:
            DataError: the file is not there.
        """
        return ""

    def check(self, dataset: Dataset, root: Path | None) -> None:
        """Looks whether the files that it needs are there, before anything is run.

        Args:
            dataset: whose labels it will corrupt.
            root: as of `stamp`.

        Raises:
            DataError: a file is missing; the sentence says where it was looked for.
        """
        self.stamp(root)

    @property
    def slug(self) -> str:
        """Name for folders, different for different parameters, e.g. `symmetric-0.4-exact`."""
        return "-".join([self.name, *(text.replace(" ", "-") for text in self._parameters())])

    @property
    def display(self) -> str:
        """Name in tables, e.g. "Symmetric 0.4 exact"."""
        return " ".join([self.name.replace("_", " ").capitalize(), *self._parameters()])

    def _parameters(self) -> list[str]:
        """Parameters that differ from their defaults, in the order of the fields."""
        texts = []
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if name == "name" or value == info.default:
                continue
            words = name.replace("_", " ")
            if value is True:
                texts.append(words)
            else:
                texts.append(str(value) if name == "rate" else f"{words} {value}")
        return texts


class ClassNoise(NoiseModel):
    """Noise that depends on the true class alone: T = (1 - rate) I + rate * targets."""

    rate: Rate
    """Probability that a label of an affected class is touched."""
    exact: StrictBool = False
    """Touch exactly round(rate * n_c) labels of every class instead of each with `rate`."""

    @property
    def nominal_rate(self) -> float:
        return self.rate

    @abstractmethod
    def targets(self, dataset: Dataset) -> np.ndarray:
        """Where touched labels go: float64 (C, C), rows sum to 1; identity = not affected."""

    def transition_matrix(self, dataset: Dataset) -> np.ndarray:
        return (1 - self.rate) * np.eye(dataset.classes) + self.rate * self.targets(dataset)

    def corrupt(self, labels: np.ndarray, dataset: Dataset, rng: np.random.Generator) -> np.ndarray:
        labels = checked_labels(labels, dataset)
        if not self.exact:
            return draw(labels, self.transition_matrix(dataset), rng)
        # A uniformly random order of all samples; the first ones of each class are touched.
        order = rng.permutation(len(labels))
        chosen = [_first(order[labels[order] == c], self.rate) for c in range(dataset.classes)]
        touched = np.sort(np.concatenate(chosen))
        noisy = labels.copy()
        noisy[touched] = draw(labels[touched], self.targets(dataset), rng)
        return noisy


def _first(members: np.ndarray, rate: float) -> np.ndarray:
    return members[: round(rate * len(members))]


def checked_labels(labels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """The labels as int64 (N,).

    Raises:
        ValueError: they are not a vector of integers 0..C-1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be a vector of integers, not {labels.dtype} {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < dataset.classes:
        raise ValueError(
            f"labels from {labels.min()} to {labels.max()} do not fit {dataset.name}, "
            f"which has classes 0 to {dataset.classes - 1}"
        )
    return labels.astype(np.int64)


def draw(labels: np.ndarray, matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws one new label a sample from the row of its label, by the inverse of the row's cdf.

    Args:
        labels: int64 (N,).
        matrix: float64 (C, C), rows sum to 1.
        rng: gives one uniform number a sample, in the order of the samples.

    Returns:
        int64 (N,); a class of probability 0 is never drawn.
    """
    cdf = np.cumsum(matrix, axis=1)
    cdf /= cdf[:, -1:]  # rounding must not leave a gap below 1
    uniform = rng.random(len(labels))
    drawn = np.empty(len(labels), dtype=np.int64)
    for true_class, row in enumerate(cdf):
        mine = labels == true_class
        drawn[mine] = np.searchsorted(row, uniform[mine], side="right")
    return drawn
