"""What a record, a study file and a line of epochs hold: one description for who writes or reads.

Only what is read of them by others is named; all else may be there. No torch.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from runners.system.canonical import SCHEMA
from runners.system.names import is_name


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds control characters")
    return text


def _study_name(text: str) -> str:
    if not is_name(text):
        raise ValueError("is no name of a study")
    return text


Number = Annotated[float, Ge(-1e15), Le(1e15)]
Share = Annotated[float, Ge(0), Le(1)]
Seconds = Annotated[float, Ge(0), Le(1e12)]
Text = Annotated[str, AfterValidator(_printable)]


class Judged(_Part):
    """Accuracy on the test or the development set, of the epoch that a criterion chooses."""

    epoch: int | None = None
    test: Share | None = None
    dev: Share | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Judged:
        if self.value is None:
            raise ValueError("has neither test nor dev")
        return self

    @property
    def value(self) -> float | None:
        return self.dev if self.test is None else self.test


class Accuracies(_Part):
    """Criterion -> accuracy; None where a criterion cannot be applied."""

    last: Judged
    __pydantic_extra__: dict[str, Judged | None]


class Noise(_Part):
    labels_sha256: Text = ""
    nominal_rate: Number | None = None
    realised_rate: Number | None = None
    no_true_class: Annotated[int, Ge(0)] = 0
    unknown_truth: Annotated[int, Ge(0)] = 0
    told_rate: Share | None = None
    told_source: Text | None = None


class Counts(_Part):
    clean_subset: int


class Timing(_Part):
    total_s: Seconds


class Provenance(_Part):
    fingerprint: str
    data_stamp: str = ""
    data_sha256: Text = ""
    device: Text | None = None
    packages: dict[str, Text] = {}
    sources: list[str] = []
    warnings: list[Text] = []


class TunedUnder(_Part):
    """The budget with which tuned values were found."""

    draws: int
    seeds: list[int]


class Record(_Part):
    """The result of a finished cell."""

    version: Literal[SCHEMA] = Field(alias="schema")
    key: str
    results_version: int
    counts: Counts
    noise: Noise
    judged_by: Text | None = None
    accuracy: Accuracies
    ensemble_accuracy: Accuracies | None = None
    timing: Timing
    confusion: dict[str, list[Any] | None]
    provenance: Provenance
    epochs_sha256: str
    peak_memory_mb: Number = 0.0


class Fit(_Part):
    """How far predictions fit the labels of a part of the data."""

    fits_given: Number | None = None
    fits_true: Number | None = None


class Memorisation(_Part):
    corrupted_part: Fit | None = None


class Epoch(_Part):
    """A line of `epochs.jsonl`, as curves are drawn of it."""

    epoch: int | None = None
    test: Number | None = None
    noisy_val: Number | None = None
    memorisation: Memorisation


class PlannedNoise(_Part):
    name: Text
    rate: Number | None = None


class PlannedProtocol(_Part):
    network: Text | None = None
    epochs: Number | None = None
    batch_size: Number | None = None
    clean_subset: Number | None = None


class PlannedCell(_Part):
    """A cell of a study file."""

    key: Text
    name: Text
    dataset: Text
    noise: PlannedNoise
    noise_slug: Text
    noise_display: Text
    method: Text
    label: Text
    display: Text
    track: Text
    hparams_source: dict[str, Text]
    tuned_under: TunedUnder | None = None
    tuned_at: Text = ""
    hparams: dict[str, Any]
    protocol: PlannedProtocol
    seed: int
    privileges: list[Text]


class StudyConfig(_Part):
    protocol: dict[str, Any] | None = None


class StudyJson(_Part):
    """`study.json`: the resolved study and its whole grid."""

    version: Literal[SCHEMA] = Field(alias="schema")
    study: Annotated[str, AfterValidator(_study_name)]
    config: StudyConfig
    cells: list[PlannedCell] = Field(min_length=1)


def problem(model: type[BaseModel], value: Any) -> str | None:
    """Where a value does not fit a model, as a dotted path with the reason; None if it fits."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"])) or "the document"
        reason = first["msg"].removeprefix("Value error, ").lower()
        return f"{path}: {_shortened(reason)}"
    return None


def _shortened(text: str, width: int = 120) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= width else f"{plain[: width - 4]} ..."
