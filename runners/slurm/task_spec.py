"""What the tasks of a submission are to do, on disk: the cells, resolved, and the settings.

A task reads this file and not the study's YAML, which may have changed by the time it starts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from runners.cell.run_context import RunContext
from runners.results.job import Job
from runners.results.store import CellStatus, State, StudyFolder
from runners.study.cell import Cell
from runners.study.schema import Run
from runners.study.slurm_section import Slurm
from runners.system.files import read_json, write_json

SCHEMA = 1
FILE, VERSIONS = "orders.json", "marks.json"


@dataclass(frozen=True)
class TaskSpec:
    """The work of one submission.

    Attributes:
        jobs: by name of the cell.
        context: where data, results and checkpoints are.
        device: `run.device`.
        cells_per_gpu: cells that share a GPU.
        at_once: cells that run at once in a task without a GPU.
        minutes: time limit of a task.
        signal_s: seconds before the limit at which SLURM warns.
        wants_gpu: whether the tasks ask for one.
    """

    jobs: dict[str, Job]
    context: RunContext
    device: str
    cells_per_gpu: int
    at_once: int
    minutes: int
    signal_s: int
    wants_gpu: bool


def at_once(run: Run, slurm: Slurm) -> int:
    """Cells that run at once in a task: on its GPUs, else one a core."""
    gpus = slurm.gpus_per_node or _gpus_of(slurm.gres)
    return gpus * run.cells_per_gpu or slurm.cpus_per_task or 1


def _gpus_of(gres: str | None) -> int:
    """GPUs of a raw request, such as "gpu", "gpu:a100:2(S:0)", or "shard:4": a part of one."""
    count = 0
    for part in (gres or "").split(","):
        name, *more = part.partition("(")[0].split(":")
        if name == "gpu" and more and more[-1].isdecimal():
            count += int(more[-1])
        elif name in ("gpu", "shard", "mps"):
            count += 1
    return count


def signal_seconds(minutes: int) -> int:
    """How long before a time limit SLURM warns; it may do so up to a minute earlier."""
    return min(90, minutes * 60 * 3 // 8)


def write_task_spec(
    folder: Path, jobs: Iterable[Job], context: RunContext, run: Run, slurm: Slurm
) -> None:
    """Writes what the tasks of a submission are to do, and how its cells looked, into its folder.

    Raises:
        OSError: the folder cannot be written.
    """
    listed = list(jobs)
    names = [field.name for field in fields(Cell)]
    write_json(
        folder / FILE,
        {
            "schema": SCHEMA,
            "study_folder": str(context.study.path),
            "data_root": None if context.data_root is None else str(context.data_root),
            "checkpoint_every": context.checkpoint_every,
            "checkpoint_minutes": context.checkpoint_minutes,
            "device": run.device,
            "cells_per_gpu": run.cells_per_gpu,
            "at_once": at_once(run, slurm),
            "minutes": slurm.time,
            "signal_s": signal_seconds(slurm.time),
            "wants_gpu": bool(slurm.gpus_per_node or slurm.gres),
            "jobs": [
                {
                    "cell": {name: getattr(job.cell, name) for name in names},
                    "mark": job.version,
                    "fingerprint": job.fingerprint,
                    "retries": job.retries,
                }
                for job in listed
            ],
        },
    )
    write_json(folder / VERSIONS, {job.cell.name: [*job.version, job.retries] for job in listed})


def read_task_spec(folder: Path) -> TaskSpec:
    """What the tasks of a submission are to do.

    Raises:
        ValueError: they are not there, or of another version of the suite.
    """
    raw = read_json(folder / FILE)
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise ValueError(f"{folder / FILE} cannot be read: must be of schema {SCHEMA}")
    path = Path(raw["study_folder"])
    context = RunContext(
        StudyFolder(path.parent, path.name),
        None if raw["data_root"] is None else Path(raw["data_root"]),
        raw["checkpoint_every"],
        raw["checkpoint_minutes"],
    )
    jobs = [_job(each) for each in raw["jobs"]]
    return TaskSpec(
        jobs={job.cell.name: job for job in jobs},
        context=context,
        **{key: raw[key] for key in ("device", "cells_per_gpu", "at_once", "minutes")},
        **{key: raw[key] for key in ("signal_s", "wants_gpu")},
    )


def _job(raw: dict[str, Any]) -> Job:
    return Job(Cell(**raw["cell"]), _version(raw["mark"]), raw["fingerprint"], raw["retries"])


def _version(raw: list[Any]) -> tuple[State, int]:
    return State(raw[0]), int(raw[1])


@dataclass(frozen=True)
class SubmittedCell:
    """How the files of a cell looked when it was submitted.

    Attributes:
        mark: `runners.results.store.CellStatus.mark`.
        retries: how often the task runs it again after a failure that may pass.
    """

    version: tuple[State, int] = (State.MISSING, 0)
    retries: int = 0

    def is_open(self, status: CellStatus, is_active: bool) -> bool:
        """Whether the task, which may still run, has yet to end the cell."""
        if status.state == State.DONE:
            return False
        if status.state == State.MISSING or status.version == self.version:
            return True
        failures = status.attempts - self.version[1]
        return is_active and status.transient and 0 < failures <= self.retries


def read_versions(folder: Path) -> dict[str, SubmittedCell]:
    """How the cells of a submission looked then; empty if that cannot be read."""
    try:
        return _versions(folder)
    except (AttributeError, TypeError, ValueError, IndexError):
        return {}


@functools.lru_cache(maxsize=64)
def _versions(folder: Path) -> dict[str, SubmittedCell]:
    """They never change; that they are not there yet, an error, is not remembered."""
    versions = read_json(folder / VERSIONS)
    return {
        name: SubmittedCell(_version(version), int(version[2]))
        for name, version in versions.items()
    }
