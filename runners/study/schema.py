"""The schema of a study file: every key, its default, its bounds and what it means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from runners.study.fields import Real, Whole
from runners.study.slurm_section import Slurm
from runners.system.names import NAME_ALLOWED, RESERVED, is_name

MOST_CELLS = 100_000
MOST_EPOCHS = 100_000
MOST_SEED = 2**31 - 1


def _study_name(value: str) -> str:
    if not is_name(value) or value.lower() in RESERVED:
        raise ValueError("not a study name")
    return value


def _milestones(value: list[int]) -> list[int]:
    if value != sorted(set(value)):
        raise ValueError("not ascending")
    return value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _as_list_or_none(value: Any) -> Any:
    return None if value is None else _as_list(value)


Entries = Annotated[list[Any], BeforeValidator(_as_list)]


def _allowed(text: str) -> dict[str, str]:
    """Replaces the words that `fields.allowed` would make of a field's type and bounds."""
    return {"allowed": text}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Axes(_Section):
    """The grid: every combination of data set, noise, clean subset, method and seed is a cell."""

    dataset: Entries = Field(
        description="Data sets, by name.",
        json_schema_extra=_allowed("a data set or a list of them"),
    )
    noise: Entries = Field(
        description="Noise models: a name, or {name, parameters}; a list inside multiplies.",
        json_schema_extra=_allowed("a noise entry or a list of them"),
    )
    method: Entries = Field(
        description="Methods: a name, or {name, label, display, hyper-parameters}; a list inside "
        "multiplies. `package.module:Class` names a method outside the suite.",
        json_schema_extra=_allowed("a method entry or a list of them"),
    )
    clean_subset: Annotated[
        list[Annotated[Whole, Ge(0), Le(10_000_000)]] | None, BeforeValidator(_as_list_or_none)
    ] = Field(
        None,
        description="Sizes of the clean subset, each a part of the setting; null: that of the "
        "protocol.",
        json_schema_extra=_allowed("null or a list of whole numbers from 0 to 10,000,000"),
    )
    seed: Any = Field(
        3,
        description="n for the seeds 0 to n-1, or a list of seeds.",
        json_schema_extra=_allowed("a number of seeds or a list of them"),
    )


class Protocol(_Section):
    """How every cell is split and trained: one protocol for all methods of a study."""

    preset: str | None = Field(
        None,
        description="A paper's own protocol (runners/study/presets.py); makes the track `paper`.",
    )
    network: str | None = Field(None, description="Network; null takes the data set's default.")
    epochs: Whole = Field(12, ge=1, le=MOST_EPOCHS, description="Passes over the training part.")
    batch_size: Whole | None = Field(
        None,
        ge=2,
        le=100_000,
        description="Images a batch; BatchNorm needs two; null: 128, of small data a twentieth of "
        "the images to train on.",
    )
    optimizer: Literal["sgd", "adam"] = Field("sgd", description="Optimiser of the classifier.")
    lr: Real = Field(0.05, gt=0, le=1e6, description="Learning rate of the first epoch.")
    momentum: Real = Field(0.9, ge=0, lt=1, description="Momentum of sgd, beta 1 of adam.")
    weight_decay: Real = Field(5e-4, ge=0, le=1e6, description="L2 weight decay.")
    schedule: Literal["cosine", "constant", "step", "linear"] = Field(
        "cosine",
        description="cosine to 0; constant; step: times `gamma` at every milestone; linear: "
        "constant to the one milestone, then in a straight line to 0.",
    )
    milestones: Annotated[
        list[Annotated[Whole, Ge(1), Le(MOST_EPOCHS)]], AfterValidator(_milestones)
    ] = Field(
        [],
        max_length=1000,
        description="Epochs, counted from 0, that begin with a changed learning rate.",
        json_schema_extra=_allowed("a list of ascending epochs, each a whole number at least 1"),
    )
    gamma: Real = Field(0.1, gt=0, le=1, description="Factor of the step schedule.")
    augment: Literal[
        "auto", "none", "flip", "crop_flip", "crop_flip_vflip", "resized_crop_flip"
    ] = Field(
        "auto",
        description="auto: what the field does: crop_flip (pad 4, or of a packed image whatever it "
        "has more; crop; flip) from 32x32 on, else none. resized_crop_flip: of packed images.",
    )
    clean_subset: Whole | None = Field(
        None, ge=0, le=10_000_000, description="Clean images; null takes the data set's default."
    )
    clean_val: Whole = Field(
        0, ge=0, le=10_000_000, description="Clean validation images, for a criterion only."
    )
    dev: Whole = Field(
        0, ge=0, le=10_000_000, description="Development images, in tuning runs only."
    )
    noisy_val: Real = Field(
        0.1, ge=0, le=0.5, description="Share of the rest that is noisy validation set."
    )
    hparams: Literal["tuned", "default", "paper"] = Field(
        "tuned", description="Where hyper-parameters come from that the study does not name."
    )
    deterministic: bool = Field(
        True, strict=True, description="Same bits at every run; false is faster on a GPU."
    )
    amp: Literal["none", "bf16"] = Field("none", description="Mixed precision.")
    tf32: bool = Field(False, strict=True, description="TensorFloat-32 on GPUs that have it.")


class Run(_Section):
    """Where and how the cells run; nothing here changes a number of the results."""

    workers: Literal["auto"] | Annotated[Whole, Ge(0), Le(1024)] = Field(
        "auto",
        description="Worker processes; 0 runs the cells in the main process.",
        json_schema_extra=_allowed("auto or a whole number from 0 to 1,024"),
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda if present.")
    data_root: str | None = Field(
        None,
        pattern=r"^[^\x00]+$",
        description="Folder of the data sets, relative to the working directory.",
        json_schema_extra=_allowed("a folder or null"),
    )
    backend: Literal["local", "slurm"] = Field(
        "local", description="Where the workers are: on this machine, or in tasks of SLURM."
    )
    cells_per_gpu: Whole = Field(1, ge=1, le=64, description="Cells that share one GPU.")
    retries: Whole = Field(
        1, ge=0, le=100, description="Tries more after what may pass: a kill, a CUDA error."
    )
    reuse: bool = Field(
        True,
        strict=True,
        description="Take finished cells over from other studies of the results folder.",
    )
    keep_weights: bool = Field(
        False,
        strict=True,
        description="Keep the trained network of each cell as `network.pt` (torch.load).",
    )
    checkpoint_every: Whole = Field(
        1, ge=1, le=MOST_EPOCHS, description="Epochs between checkpoints of a cell."
    )
    checkpoint_minutes: Real = Field(
        10.0, gt=0, le=1e6, description="Minutes between checkpoints inside a long epoch."
    )
    cell_timeout: Real | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Minutes without the end of an epoch after which a cell counts as stuck: its "
        "worker is ended, and the cell tried again; null waits for ever.",
    )


class StudyFile(_Section):
    """A study file as it is written, before its entries are expanded."""

    study: Annotated[str, AfterValidator(_study_name)] = Field(
        description="Name of the study and of its folder of results.",
        json_schema_extra=_allowed(f"{NAME_ALLOWED}, and none of {', '.join(RESERVED)}"),
    )
    axes: Axes = Field(json_schema_extra=_allowed("a mapping with dataset, noise, method and seed"))
    protocol: Protocol = Field(
        Protocol(), json_schema_extra=_allowed("a mapping of protocol keys to values")
    )
    run: Run = Field(Run(), json_schema_extra=_allowed("a mapping of run keys to values"))
    slurm: Slurm = Field(Slurm(), json_schema_extra=_allowed("a mapping of slurm keys to values"))


def keys() -> list[str]:
    """Every dotted key of the schema, which is what `--set` accepts."""
    dotted = []
    for name, field in StudyFile.model_fields.items():
        dotted.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            dotted += [f"{name}.{inner}" for inner in field.annotation.model_fields]
    return dotted
