"""A study on SLURM whose tasks a test starts one by one, slows down, and disturbs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from runners import run_grid
from runners.results.store import StudyFolder
from runners.slurm import attempts, manifest
from runners.slurm.array_tasks import ArrayTask, newest_tasks
from tests.helpers import cli
from tests.slurm.cluster import Cluster

T = TypeVar("T")
DEADLINE = 90
"""Seconds for what takes a few: the machine may be busy."""
RUNNING, OVER = {"running", "done", "failed"}, {"done", "failed"}
SHOWN = {
    "PENDING": {"queued", "requeued", "done"},
    "RUNNING": RUNNING,
    "COMPLETING": RUNNING,
    "SUSPENDED": {"suspended", *OVER},
    "COMPLETED": OVER,
    "FAILED": OVER,
}
"""SLURM's state of a task -> what its cell may be called meanwhile."""

SLOWLY = """
import os, time
from pathlib import Path
from methods.base import register
from methods.co_teaching import CoTeaching
from methods.declaration import Declaration, Hyperparameters, Privileges

class Hparams(Hyperparameters):
    tau_factor: float = 1.0
    exponent: float = 1.0
    ramp: float = 0.5
    forget_rate: float | None = None

def slowed():
    folder = os.environ.get("SLOWED")
    return folder and Path(folder, os.environ.get("SLURM_ARRAY_TASK_ID", "0")).exists()

@register(Declaration("slowly", "Slowly", Hparams, Privileges.NOISE_RATE))
class Slowly(CoTeaching):
    shortest = 0.0  # the first epoch is slowed only where nothing is to happen at all

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        self.shortest = 60.0 if epoch == 0 else 0.0

    def step(self, batch):
        began, pause = time.monotonic(), float(os.environ.get("PAUSE", 0))
        while slowed() and self.shortest <= pause > time.monotonic() - began:
            time.sleep(0.02)
        return super().step(batch)
"""


class Life:
    """The study, its results and the cluster."""

    def __init__(self, slurm: Cluster, folder: Path, seeds: int) -> None:
        self.slurm, self.folder, self.results = slurm, folder, folder / "results"
        self.file = cli.write_study(folder / "study.yaml", ["slowly:Slowly"], epochs=30)
        study = json.loads(self.file.read_text())
        study["axes"]["seed"] = list(range(seeds))
        study["slurm"] = {"poll_seconds": 1}
        self.file.write_text(json.dumps(study))
        (folder / "slowly.py").write_text(SLOWLY)
        self.study = StudyFolder(self.results, "s")
        self.variables = {key: slurm.env[key] for key in ("PATH", "SLURM_CONF")}
        self._lock = threading.Lock()

    def grid(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Types a command line, in a process of its own."""
        told = {"folder": self.folder, **self.variables, **more}
        return cli.run_grid(self.file, self.results, *arguments, **told)

    def submit(self, seeds: str, pause: float, *arguments: str) -> list[Task]:
        """Submits cells, each a task, whose steps take `pause` seconds until `Task.hurry`."""
        slowed = self.folder / f"slowed-{seeds}"
        slowed.mkdir()
        named = seeds.split(",")
        for number, _ in enumerate(named):
            (slowed / str(number)).touch()
        told = {"SLOWED": str(slowed), "PAUSE": str(pause)}
        done = self.grid("--backend", "slurm", "--only", f"seed={seeds}", *arguments, **told)
        assert done.returncode == 0, done.stdout + done.stderr
        found = {name.split("__")[3]: name for name in self.elements()}
        return [Task(self, found[f"s{seed}"], slowed) for seed in named]

    def elements(self) -> dict[str, ArrayTask]:
        """Cell -> the task that it was last submitted with."""
        return newest_tasks(manifest.read_all(self.study.path).readable)

    def look(self, *arguments: str) -> str:
        """What a command line that starts nothing prints; in this process, which is faster."""
        line = [str(self.file), "--results", str(self.results), *arguments]
        paths, said = [*sys.path, str(self.folder)], io.StringIO()
        with (
            self._lock,
            mock.patch.dict(os.environ, self.variables),
            mock.patch.object(sys, "path", paths),
            contextlib.redirect_stdout(said),
        ):
            run_grid.main(line)
        return said.getvalue()

    def status(self) -> dict[str, str]:
        """Cell -> what `--status` says of it, which must not contradict squeue."""
        before = {row.id: row.state for row in self.slurm.squeue()}
        lines = [line.split(None, 1) for line in self.look("--status").splitlines()]
        after = {row.id: row.state for row in self.slurm.squeue()}
        said = {line[0]: line[1] for line in lines if "__" in line[0]}
        for cell, element in self.elements().items():
            state = before.get(element.id)
            if state in SHOWN and state == after.get(element.id):
                assert said[cell].split()[0] in SHOWN[state], f"{cell} {said[cell]}, but {state}"
        return said


class Task:
    """A task and its one cell."""

    def __init__(self, life: Life, cell: str, slowed: Path) -> None:
        self.life, self.slurm, self.cell = life, life.slurm, cell
        self.files = life.study.cell(cell)
        self.element = life.elements()[cell]
        self.id = self.element.id
        seed = cell.split("__")[3].removeprefix("s")
        self.dry_run = ("--backend", "slurm", "--only", f"seed={seed}", "--dry-run")
        self.slowed = slowed / str(self.element.number)

    def status(self) -> str:
        """The line of the cell, from its state on."""
        return self.life.status()[self.cell]

    def start(self) -> None:
        """Lets a task begin that was submitted for later."""
        self.slurm.scontrol("update", f"jobid={self.id}", "StartTime=now")

    def wait_for_attempt(self, attempt: int) -> None:
        """Waits until the attempt with that number trains."""
        if attempt == 1:
            self.wait(self.files.finished_epochs, "the first epoch ends")
        else:
            self.wait(lambda: self.went_on() == attempt - 1, f"attempt {attempt} goes on")

    def went_on(self) -> int:
        """How often the cell has gone on from a checkpoint."""
        try:
            return self.files.log.read_text().count("resumed after epoch")
        except FileNotFoundError:
            return 0

    def notes(self) -> list[dict[str, Any]]:
        """What its attempts have noted."""
        return attempts.notes(self.element.manifest.folder, self.element.name)

    def began(self) -> int:
        """How many attempts have begun."""
        return sum(line["what"] == "began" for line in self.notes())

    def wait_for_requeue(self) -> str:
        """Waits until the task is queued once more; returns what `--status` says then.

        On a node that is set down, processes outlive their job by a second or two.
        """
        self.slurm.wait_for_state(self.id, "PENDING", deadline=DEADLINE)
        self.wait(lambda: self.cell not in self.life.study.leases.live(), "its processes end")
        return self.status()

    def signal(self, name: str) -> None:
        """Sends a signal as SLURM does: to the step, that is to all that srun started."""
        self.slurm.run("scancel", f"--signal={name}", f"{self.id}.0")

    def warn_twice(self) -> str:
        """Warns two attempts in which no step ends; returns what `--status` says in between."""

        def warn(attempt: int) -> None:
            self.wait(lambda: self.began() == attempt, f"attempt {attempt} begins")
            self.wait(lambda: self.cell in self.life.study.leases.live(), "it holds its cell")
            self.signal("USR2")

        warn(1)
        between = self.wait_for_requeue()
        self.slurm.start_now(self.id)
        warn(2)
        self.slurm.wait_for_state(self.id, "FAILED", deadline=DEADLINE)
        return between

    def once_more(self) -> subprocess.Popen:
        """Starts by hand what the task does."""
        folder, name = str(self.element.manifest.folder), self.element.name
        run = f"RunCells({folder!r}, {name!r}, ({self.cell!r},))()"
        slowly = {"SLOWED": str(self.slowed.parent), "PAUSE": "2"}
        told = {**self.life.variables, **slowly, "SLURM_ARRAY_TASK_ID": self.slowed.name}
        env = cli.environment(self.life.folder, **told)
        paths = os.pathsep.join((str(cli.ROOT), str(self.life.folder)))
        line = [sys.executable, "-c", f"from runners.slurm.task import RunCells; {run}"]
        return subprocess.Popen(line, cwd=cli.ROOT, env={**env, "PYTHONPATH": paths})

    def hurry(self) -> None:
        """From now on, steps take no longer than they must."""
        self.slowed.unlink(missing_ok=True)

    def finish(self, attempts: int) -> None:
        """Waits for the record; every attempt but the first must have gone on."""
        self.hurry()
        self.wait(self.files.record.exists, "the cell is done")
        assert self.went_on() == attempts - 1
        self.slurm.wait_for_state(self.id, "COMPLETED", deadline=DEADLINE)
        assert self.status().startswith("done")

    def wait(self, condition: Callable[[], T], what: str) -> T:
        return self.slurm.wait_for(condition, DEADLINE, f"{self.cell}: {what}")
