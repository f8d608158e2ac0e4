"""How commands of SLURM are run, and what it means when they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from runners.slurm.messages import culprit, is_full

TIMEOUT = 60
"""Seconds; commands without a controller give up by themselves after 9 to 18."""
DOWN = (
    "unable to contact",
    "connection refused",
    "communication connection failure",
    "communication shutdown failure",
    "timed out",
    "zero bytes were transmitted",
    "standby mode",
)
"""Words of commands that met no controller."""
UNCONFIGURED = ("could not establish a configuration source", "unable to process configuration")
"""Words of commands that found no slurm.conf."""
CHANGING = ("SQUEUE_", "SCANCEL_", "SACCT_", "SBATCH_", "SRUN_", "SLURM_")
"""Beginnings of variables that silently change what a command shows, cancels or sends."""
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
"""Those that only say where the cluster is, and who asks."""


class SlurmError(Exception):
    """A command of SLURM that did not do its work; the message is a sentence."""


class CommandMissing(SlurmError):
    """SLURM is not installed here, not on the path, or does not know its cluster."""


class ControllerDown(SlurmError):
    """The controller does not answer: nothing is known about any job now."""


class Refused(SlurmError):
    """sbatch does not take a script.

    Attributes:
        key: the key of the study that is to blame, as far as sbatch's words tell.
        full: whether fewer jobs, or the same later, may be taken.
    """

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.key, self.full = culprit(words), is_full(words)


def environment() -> dict[str, str]:
    """This process's environment without what would change the meaning of a command.

    SQUEUE_PARTITION hides jobs, SCANCEL_INTERACTIVE asks questions, SBATCH_TIMELIMIT wins over the
    script. Inside a job, SLURM_* describe that job: what is sent from there would inherit its
    memory and its place in an array.
    """
    return {
        key: text for key, text in os.environ.items() if key in KEPT or not key.startswith(CHANGING)
    }


def run(command: Sequence[str], script: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command, whatever its exit code, with `script` as its input.

    Raises:
        CommandMissing: there is no such command, or it found no slurm.conf.
        ControllerDown: it did not end in time.
    """
    try:
        done = subprocess.run(
            command,
            env=environment(),
            input=script,
            stdin=subprocess.DEVNULL if script is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise _missing(command[0]) from error
    except subprocess.TimeoutExpired as error:
        words = f"{command[0]} had no answer after {TIMEOUT} s"
        raise ControllerDown(f"the SLURM controller does not answer ({words})") from error
    if done.returncode != 0 and any(word in done.stderr.lower() for word in UNCONFIGURED):
        words = done.stderr.strip().splitlines()[-1]
        raise CommandMissing(
            f"SLURM has no configuration here ({words}): must be run on a machine of a cluster, or "
            "with SLURM_CONF set to its slurm.conf"
        )
    return done


def require(*commands: str) -> None:
    """Raises CommandMissing for the first of these that is not on the path."""
    for command in commands:
        if shutil.which(command) is None:
            raise _missing(command)


def _missing(command: str) -> CommandMissing:
    return CommandMissing(f"{command} is not on the path: must be run where SLURM's commands are")


def is_down(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether a command failed because it met no controller."""
    return done.returncode != 0 and any(word in done.stderr.lower() for word in DOWN)


def words_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said, on one line."""
    said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
    return " ".join(said.split())


def no_answer(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence for a command that met no controller."""
    return f"the SLURM controller does not answer ({done.args[0]}: {words_of(done)})"
