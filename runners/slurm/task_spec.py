"""What the tasks of a submission are to do, on disk: the cells, resolved, and the settings.

A task reads this file and not the study's YAML, which may have changed by the time it starts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from runners.cell.run_context import RunContext
from runners.results.job import Job
from runners.results.store import CellStatus, State, StudyFolder
from runners.study.schema import Run
from runners.study.slurm_section import Slurm
from runners.system.files import read_json, write_json

FILE = "orders.json"


@dataclass(frozen=True)
class TaskSpec:
    """The work of one submission.

    Attributes:
        jobs: by name of the cell.
        results, study: the folder of results and the study's name in it.
        data_root, checkpoint_every, checkpoint_minutes, cell_timeout, keep_weights: see
            `RunContext`.
        device: `run.device`.
        cells_per_gpu: cells that share a GPU.
        at_once: cells that run at once in a task without a GPU.
        minutes: time limit of a task.
        signal_s: seconds before the limit at which SLURM warns.
        wants_gpu: whether the tasks ask for one.
    """

    jobs: dict[str, Job]
    results: Path
    study: str
    data_root: Path | None
    checkpoint_every: int
    checkpoint_minutes: float
    device: str
    cells_per_gpu: int
    at_once: int
    minutes: int
    signal_s: int
    wants_gpu: bool
    cell_timeout: float | None = None
    keep_weights: bool = False
    schema: Literal[2] = 2

    @property
    def context(self) -> RunContext:
        """Where data, results and checkpoints are."""
        study = StudyFolder(self.results, self.study)
        return RunContext(
            study,
            self.data_root,
            self.checkpoint_every,
            self.checkpoint_minutes,
            self.cell_timeout,
            self.keep_weights,
        )


_SPEC = TypeAdapter(TaskSpec)


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
    spec = TaskSpec(
        jobs={job.cell.name: job for job in jobs},
        results=context.study.path.parent,
        study=context.study.path.name,
        data_root=context.data_root,
        checkpoint_every=context.checkpoint_every,
        checkpoint_minutes=context.checkpoint_minutes,
        cell_timeout=context.cell_timeout,
        keep_weights=context.keep_weights,
        device=run.device,
        cells_per_gpu=run.cells_per_gpu,
        at_once=at_once(run, slurm),
        minutes=slurm.time,
        signal_s=signal_seconds(slurm.time),
        wants_gpu=bool(slurm.gpus_per_node or slurm.gres),
    )
    write_json(folder / FILE, to_jsonable_python(spec))


@functools.lru_cache(maxsize=64)
def read_task_spec(folder: Path) -> TaskSpec:
    """What the tasks of a submission are to do; a file that is there never changes.

    Raises:
        ValueError: it is not there, or of another version of the suite.
    """
    return _SPEC.validate_python(read_json(folder / FILE))


def submitted_jobs(folder: Path) -> dict[str, Job]:
    """The jobs of a submission as they were then; empty if that cannot be read."""
    try:
        return read_task_spec(folder).jobs
    except ValueError:
        return {}


def is_open(job: Job | None, status: CellStatus, is_active: bool) -> bool:
    """Whether the task of a submitted job, which may still run, has yet to end its cell."""
    if status.state == State.DONE:
        return False
    version, retries = (job.version, job.retries) if job else ((State.MISSING, 0), 0)
    if status.state == State.MISSING or status.version == version:
        return True
    return is_active and status.transient and 0 < status.attempts - version[1] <= retries
