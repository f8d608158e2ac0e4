"""Studies whose submitters can be killed at a chosen moment, and what the queue holds of them."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from runners.results.job import Job
from runners.slurm.manifest import read_all
from runners.slurm.messages import is_final
from tests.helpers.cli import command, environment, write_study
from tests.slurm.cluster import Cluster
from tests.slurm.studies import SlurmStudy

SITE = '''
"""Kills a submitter at the moment that KILL_AT names; tasks inherit the variable and live.

At their checkpoints, tasks wait for the file that HOLD names.
"""

import os, pathlib, signal, subprocess, time

moment = os.environ.get("KILL_AT") if "SLURM_JOB_ID" not in os.environ else None
held = os.environ.get("HOLD") if "SLURM_JOB_ID" in os.environ else None
popen, rename, replace = subprocess.Popen.__init__, pathlib.Path.rename, pathlib.Path.replace
renamed = []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def checked_popen(self, args, *more, **options):
    if args[0] == "sbatch" and "--test-only" not in args and moment == "before sbatch":
        die()
    return popen(self, args, *more, **options)

def checked_rename(self, target):
    if str(target).endswith("_submitted.pkl"):
        if moment == "before the pickles" or (moment == "between the pickles" and renamed):
            die()
        renamed.append(target)
    return rename(self, target)

def checked_replace(self, target):
    submitted = pathlib.Path(target).name == "manifest.json" and '"submitted"' in self.read_text()
    if submitted and moment == "before the note":
        die()
    done = replace(self, target)
    if submitted and moment == "after the first note":
        die()
    end = time.monotonic() + 120
    while held and pathlib.Path(target).name == "checkpoint.pt" and time.monotonic() < end:
        if os.path.exists(held):
            break
        time.sleep(0.05)
    return done

subprocess.Popen.__init__ = checked_popen
pathlib.Path.rename, pathlib.Path.replace = checked_rename, checked_replace
'''


@dataclass(frozen=True)
class Typed:
    """A command that runs, or has ended; what it prints goes to files, to be read meanwhile."""

    process: subprocess.Popen[str]
    out: Path
    err: Path

    def ends(self, *codes: int) -> tuple[str, str]:
        """Waits for the end, which must be with one of these codes (0); returns what it printed."""
        code = self.process.wait(timeout=120)
        out, err = self.out.read_text(), self.err.read_text()
        assert code in (codes or (0,)), f"ended with {code}: {out}{err}"
        return out, err


class Sent(SlurmStudy):
    """A study that is sent to a cluster by the command line."""

    def start(self, *arguments: str, **more: str) -> Typed:
        """Types a command on the study and does not wait for its end."""
        (self.folder / "sitecustomize.py").write_text(SITE)
        settings = ["--set", "slurm.poll_seconds=1", "--backend", "slurm"]
        number = len(list(self.folder.glob("*.out")))
        out, err = self.folder / f"{number}.out", self.folder / f"{number}.err"
        with out.open("w") as out_file, err.open("w") as err_file:
            process = subprocess.Popen(
                command(self.study, self.results, *settings, *arguments),
                cwd=self.folder,
                env=environment(self.folder, **self.variables, **more),
                stdout=out_file,
                stderr=err_file,
                text=True,
            )
        return Typed(process, out, err)

    def type(self, *arguments: str, code: int = 0, **more: str) -> tuple[str, str]:
        """Types a command, which must end with that code; returns what it printed."""
        return self.start(*arguments, **more).ends(code)

    def states(self, *arguments: str) -> Counter[str]:
        """How many cells are in which state, says `--status`."""
        out, _ = self.type("--status", "--cells", *arguments)
        return Counter(re.findall(r"^simulated__\S+ +(\w+)", out, re.MULTILINE))

    def rows(self) -> list[Job]:
        """What the queue holds under the names of this study's arrays and is not over."""
        arrays = [array for made in read_all(self.results / "s").readable for array in made.arrays]
        names = {array.name for array in arrays}
        return [
            row for row in self.cluster.squeue() if row.name in names and not is_final(row.state)
        ]

    def queued_cells(self) -> list[str]:
        """The cells of all tasks in the queue that a manifest knows by their id."""
        ids = {row.id for row in self.rows()}
        made = [each.tasks() for each in read_all(self.results / "s").readable]
        tasks = [task for elements in made for task in elements]
        return [cell for array, k, cells in tasks if array.task_id(k) in ids for cell in cells]


def study_of(cluster: Cluster, folder: Path, seeds: int, epochs: int = 2) -> Sent:
    """A study of so many cells that differ in their seeds."""
    study = write_study(folder / "study.yaml", ["cross_entropy"], epochs=epochs, batch_size=32)
    text = study.read_text().replace('"seed": [0]', f'"seed": {seeds}')
    study.write_text(text)
    return Sent(cluster, folder, study)
