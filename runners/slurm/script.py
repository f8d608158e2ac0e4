"""submitit's executor for a study, and the batch script that it sends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from runners.results.provenance import ROOT
from runners.slurm.commands import environment
from runners.slurm.task_spec import at_once, signal_seconds
from runners.study.schema import Run
from runners.study.slurm_section import Slurm

if TYPE_CHECKING:
    from submitit.slurm.slurm import SlurmExecutor

MOST_REQUEUES = 10_000
"""submitit's own count of time-outs; whether a task gets on is judged by its checkpoints."""


def executor(folder: Path, name: str, run: Run, slurm: Slurm, arrays: int = 1) -> SlurmExecutor:
    """An executor that sends one array.

    Args:
        folder: of the submission; scripts, pickles and logs go there.
        name: of the job, unlike any other.
        arrays: of the submission; `slurm.max_running` is shared out among them.
    """
    from submitit.slurm.slurm import SlurmExecutor

    sender = SlurmExecutor(folder, max_num_timeout=MOST_REQUEUES, python=slurm.python)
    cores = slurm.cpus_per_task or at_once(run, slurm)
    asked = {key: getattr(slurm, key) for key in ("partition", "account", "qos", "gres")}
    asked |= {key: getattr(slurm, key) for key in ("constraint", "exclude")}
    asked["gpus_per_node"] = slurm.gpus_per_node or None
    asked["array_parallelism"] = max(1, (slurm.max_running or 100_000) // arrays)
    # mem goes around submitit, which takes gigabytes only.
    further = {"mem": slurm.mem} if slurm.mem else {}
    sender.update_parameters(
        job_name=name,
        time=slurm.time,
        cpus_per_task=cores,
        signal_delay_s=signal_seconds(slurm.time),
        setup=[*slurm.setup, "export OMP_NUM_THREADS=1"],
        srun_args=[f"--cpus-per-task={cores}"],  # srun does not take it over from sbatch
        additional_parameters={"chdir": str(ROOT), **further, **slurm.additional},
        **{key: value for key, value in asked.items() if value is not None},
    )
    return sender


def text(sender: SlurmExecutor, tasks: int) -> str:
    """The batch script of an array with so many elements; of a plain job if it is one."""
    if tasks > 1:
        sender.parameters["map_count"] = tasks
    script = sender._make_submission_file_text(sender._submitit_command_str, "dry-run")
    sender.parameters.pop("map_count", None)
    return script


def prepare_environment() -> None:
    """Makes this process's environment, which tasks inherit, one in which they find the suite.

    What would overrule the script or the study is taken out; paths on PYTHONPATH become absolute,
    because tasks start in the suite's own folder.
    """
    kept = environment()
    for key in set(os.environ) - set(kept):
        del os.environ[key]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(ROOT), *(str(Path(path).resolve()) for path in given if path)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
