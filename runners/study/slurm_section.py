"""The section `slurm` of a study file: what each task asks of a SLURM cluster."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from runners.study.fields import Whole, whole
from runners.study.problems import Problems
from runners.study.slurm_times import minutes_of

MOST_MINUTES = 527_040
"""A leap year."""
TIME_ALLOWED = (
    f"a whole number of minutes from 1 to {MOST_MINUTES:,} or a SLURM time such as 12:00:00 or "
    "1-00:00"
)
OPTION = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
OWN_KEYS = {
    **dict.fromkeys(("partition", "account", "qos", "time", "gres", "mem", "constraint")),
    **dict.fromkeys(("gpus-per-node", "cpus-per-task", "exclude")),
    "array": "max_running",
    "gpus": "gpus_per_node",
}
"""Options of sbatch that have a key here; None where it has the same name."""
RESERVED = (
    *("chdir", "clusters", "error", "export", "export-file", "input", "job-name", "nodes"),
    *("ntasks", "ntasks-per-node", "no-requeue", "open-mode", "output", "parsable", "requeue"),
    *("signal", "test-only", "wait", "wrap"),
)
"""Options on which requeueing, logs and the recovery of lost submissions depend."""


def _minutes(value: Any) -> int:
    """Minutes of a number or of a text."""
    minutes = minutes_of(value) if isinstance(value, str) else whole(value)
    if not 1 <= minutes <= MOST_MINUTES:
        raise ValueError("out of bounds")
    return minutes


def _memory(value: Any) -> Any:
    return f"{value}M" if isinstance(value, int) and not isinstance(value, bool) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Word = Annotated[str, StringConstraints(pattern=r"^[^\s\p{C}]+$", max_length=1000)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\p{Cc}]+$", max_length=4000)]
Memory = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,12}[KMGT]?B?$"), BeforeValidator(_memory)
]
Scalar = Line | bool | int | float


def _word(default: str | None, description: str) -> Any:
    allowed = {"allowed": "null or text without blanks"}
    return Field(default, description=description, json_schema_extra=allowed)


class Slurm(BaseModel):
    """What a task asks for; each is one element of a job array and runs some cells."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: Word | None = _word(None, "Partition, or several with commas; null: the default.")
    account: Word | None = _word(None, "Account that pays; null: the user's default.")
    qos: Word | None = _word(None, "Quality of service; null: the default.")
    time: Annotated[int, BeforeValidator(_minutes)] = Field(
        240,
        description="Time limit of a task. At its end the task is requeued and its cells resume.",
        json_schema_extra={"allowed": TIME_ALLOWED},
    )
    gpus_per_node: Whole = Field(
        0, ge=0, le=64, description="GPUs of a task; 0 runs its cells on CPU cores."
    )
    gres: Word | None = _word(None, "Raw request, such as gpu:a100:1, instead of gpus_per_node.")
    cpus_per_task: Whole | None = Field(
        None, ge=1, le=1024, description="CPU cores of a task; null: one a cell that runs at once."
    )
    mem: Memory | None = Field(
        None,
        description="Memory of a task, such as 8G; a bare number is MB; null: the default.",
        json_schema_extra={"allowed": "null, a whole number of MB, or a number with K, M, G or T"},
    )
    constraint: Word | None = _word(None, "Features that a node must have.")
    exclude: Word | None = _word(None, "Nodes that must not be used, such as node[1-3],node7.")
    max_running: Whole | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Tasks that run at once, shared out among arrays; null: no limit.",
    )
    cells_per_task: Whole | None = Field(
        None, ge=1, le=10_000, description="Cells of a task; null: as many as run at once."
    )
    setup: Annotated[list[Line], BeforeValidator(_as_list)] = Field(
        [],
        max_length=1000,
        description="Lines of shell before Python starts, such as `module load cuda`.",
        json_schema_extra={"allowed": "a list of lines of text"},
    )
    python: Line | None = Field(
        None,
        description="Python interpreter on the nodes; null: the one that submits.",
        json_schema_extra={"allowed": "null or a path"},
    )
    additional: dict[str, Scalar] = Field(
        {},
        max_length=100,
        description="Further long options of sbatch, passed as they are; true for those without "
        "a value.",
        json_schema_extra={"allowed": "a mapping of sbatch's long options to text or numbers"},
    )
    poll_seconds: Whole = Field(
        30, ge=1, le=3600, description="Seconds between two questions of --watch and --wait."
    )


def check_slurm(slurm: Slurm, backend: str, device: str, problems: Problems) -> None:
    """Notes what does not fit together.

    Args:
        slurm: the section.
        backend: `run.backend`; some requests are wrong only where they will be sent.
        device: `run.device`.
        problems: takes one sentence a mistake.
    """
    if slurm.gres is not None and slurm.gpus_per_node:
        problems.refuse("slurm.gres", slurm.gres, "null where slurm.gpus_per_node is set")
    if backend == "slurm" and device == "cuda" and slurm.gres is None and not slurm.gpus_per_node:
        allowed = "at least 1 where run.device is cuda, or slurm.gres must be set"
        problems.refuse("slurm.gpus_per_node", 0, allowed)
    for option in slurm.additional:
        key = f"slurm.additional.{option}"
        plain = option.replace("_", "-")
        if not OPTION.fullmatch(plain):
            problems.add(key, "not a long option of sbatch: must be letters, digits and -")
        elif plain in OWN_KEYS:
            problems.add(key, f"not allowed here: must be set as slurm.{OWN_KEYS[plain] or plain}")
        elif plain in RESERVED:
            problems.add(key, "not allowed: the suite sets this option itself")
        elif any(whole.startswith(plain) for whole in (*OWN_KEYS, *RESERVED)):
            problems.add(key, "not allowed: sbatch would complete it: must be a whole name")
