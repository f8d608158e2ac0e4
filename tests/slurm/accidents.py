"""A study whose cells have accidents, worked with by typed commands, files and the queue."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from runners.results.store import CellFolder
from tests.helpers.cli import command, environment, run_grid
from tests.slurm.studies import SlurmStudy

SITE = '''
"""Cells note every checkpoint and wait where they are told to, or end as their label says.

HOLD=n waits at the n-th checkpoint for the file `go` beside the ledger; MEET=n at the first one,
until n processes have noted a cell whose label has the same beginning; PACE=s takes s seconds.
"""

import collections, json, multiprocessing, os, pathlib, signal, sys, time

rename = pathlib.Path.replace
counts = collections.Counter()
LEDGER = pathlib.Path(os.environ["LEDGER"])
OOM = {
    "greedy-1": "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.0. Some of your "
    "processes may have been killed by the cgroup out-of-memory handler.",
    "greedy-2": "slurmstepd: error: Step 7.0 exceeded memory limit (214160 > 204800), being killed"
    "\\nslurmstepd: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-01-01T10:00:00 ***",
}

def note(cell, label):
    names = {"job": "SLURM_JOB_ID", "gpu": "CUDA_VISIBLE_DEVICES"}
    seen = {key: os.environ.get(name) for key, name in names.items()}
    seen |= {"cell": cell, "label": label, "pid": os.getpid(), "when": time.time()}
    with LEDGER.open("a") as file:
        file.write(json.dumps(seen) + "\\n")

def wait_for(condition):
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)

def have_met(label, wanted):
    seen = map(json.loads, LEDGER.read_text().splitlines())
    stem = label.rpartition("-")[0]
    return len({each["pid"] for each in seen if each["label"].startswith(stem)}) >= wanted

def misbehave(label):
    if label == "raises":
        raise RuntimeError("no luck with this batch")
    if label == "exits":
        sys.exit(3)
    if label == "vanishes":
        os._exit(0)
    if label == "dies-once" and not os.path.exists(os.environ["MARK"]):
        open(os.environ["MARK"], "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if label in OOM:
        runner = multiprocessing.parent_process().pid
        with open(f"/proc/{runner}/fd/2", "a") as file:  # where the step daemon would write
            file.write(OOM[label] + "\\n")
        os.kill(runner, signal.SIGKILL)

def replace(self, target):
    target = pathlib.Path(target)
    done = rename(self, target)
    if target.name == "checkpoint.pt" and "HEALED" not in os.environ:
        cell, label = target.parent.name, target.parent.name.split("__")[2]
        note(cell, label)
        misbehave(label)
        counts[cell] += 1
        if counts[cell] == int(os.environ.get("HOLD", 0)):
            wait_for((LEDGER.parent / "go").exists)
        if counts[cell] == 1 and "MEET" in os.environ:
            wait_for(lambda: have_met(label, int(os.environ["MEET"])))
        time.sleep(float(os.environ.get("PACE", 0)))
    return done

pathlib.Path.replace = replace
'''


def labelled(*labels: str) -> list[dict[str, Any]]:
    """Entries of cells that differ in a number, so that each label is a cell of its own."""
    return [
        {"name": "gce", "label": label, "q": round(0.5 + 0.01 * number, 2)}
        for number, label in enumerate(labels)
    ]


class OnSlurm(SlurmStudy):
    """A study whose cells keep a ledger, and wait or have accidents where they are told to."""

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def more(self) -> dict[str, str]:
        """What the environment of a command needs beside tests.helpers.cli.environment."""
        site = self.folder / "sitecustomize.py"
        if not site.exists():  # a worker may be reading it
            site.write_text(SITE)
        return {**self.variables, "LEDGER": str(self.ledger), "MARK": str(self.folder / "mark")}

    def type(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs `run_grid.py` on the study."""
        settings = ["--set", "slurm.poll_seconds=1"]
        given = {**self.more, **more}
        return run_grid(
            self.study, self.results, *arguments, *settings, folder=self.folder, **given
        )

    def popen(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Starts `run_grid.py` in a process group of its own."""
        return subprocess.Popen(
            command(self.study, self.results, *arguments),
            cwd=self.folder,
            env=environment(self.folder, **self.more, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def submit(self, *arguments: str, **more: str) -> list[str]:
        """Submits, which must go well; returns the ids of all tasks."""
        run = self.type("--backend", "slurm", *arguments, **more)
        assert run.returncode == 0, run.stdout + run.stderr
        arrays = re.findall(r"\d+", re.search(r"^jobs: (.*?);", run.stdout, re.MULTILINE)[1])
        rows = [row.id for row in self.cluster.squeue()]
        return sorted(
            (id for id in rows if id.partition("_")[0] in arrays),
            key=lambda id: [int(part) for part in id.split("_")],
        )

    def states(self, *arguments: str, **more: str) -> dict[str, tuple[str, str]]:
        """What `--status` says: label (and seed, if not 0) -> state and note."""
        run = self.type("--status", *arguments, **more)
        assert run.returncode == 0, run.stdout + run.stderr
        lines = re.findall(r"^\S+__(\S+?)__s(\d+)__\w+ +(\S+) *(.*)$", run.stdout, re.MULTILINE)
        return {
            label if seed == "0" else f"{label}/{seed}": (state, note)
            for label, seed, state, note in lines
        }

    def cell(self, label: str, seed: int = 0) -> CellFolder:
        """The files of a cell that has begun."""
        (path,) = self.results.glob(f"s/cells/*__{label}__s{seed}__*")
        return CellFolder(path)

    def records(self) -> list[Path]:
        """The records of all cells that are done."""
        return list(self.results.glob("s/cells/*/record.json"))

    def wait_for_checkpoints(self, label: str, count: int, seed: int = 0) -> None:
        """Waits until a cell has written so many checkpoints, one an epoch, over all attempts."""

        def there() -> bool:
            return (
                sum(f"__{label}__s{seed}__" in entry["cell"] for entry in self.entries()) >= count
            )

        self.cluster.wait_for(there, 90, f"{label} has not written {count} checkpoints")

    def wait_for_end(self, *jobs: str, deadline: float = 90) -> dict[str, str]:
        """Waits until all these tasks are over or forgotten; returns their last states."""

        def over() -> dict[str, str] | None:
            found = {job.id: job for job in self.cluster.squeue() if job.id in jobs}
            final = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
            if all(job.state in final for job in found.values()):
                return {id: job.state for id, job in found.items()} or {"": ""}
            return None

        return self.cluster.wait_for(over, deadline, f"{', '.join(jobs)} do not end")

    def go(self) -> None:
        """Lets cells go on that wait for it."""
        self.ledger.with_name("go").touch()

    def entries(self) -> list[dict[str, Any]]:
        """What cells have noted, a line a checkpoint."""
        text = self.ledger.read_text() if self.ledger.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
