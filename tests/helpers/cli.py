"""Runs of the command line in processes of their own, and outside methods that misbehave."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RUN_GRID = ROOT / "runners" / "run_grid.py"

KILLED = r"the worker was killed by SIGKILL (\(out of memory\?\)|by the kernel: out of memory)"
"""Reason of a cell whose worker was killed. The kernel counts kills where memory runs out on the
whole machine, so that one elsewhere at the same time changes it."""

OUTSIDE = """
import collections, os, signal, sys, time
from pathlib import Path
import torch
from methods.base import Method, register
from methods.declaration import Declaration

class Fit(Method):
    def step(self, batch):
        loss = self.network(batch.images).logsumexp(1).mean()
        self.update(loss)
        return {"loss": self.logged(loss.detach())}

@register(Declaration("raises", "Raises"))
class Raises(Fit):
    def logged(self, loss):
        raise RuntimeError("no luck with this batch")

@register(Declaration("not_finite", "Not finite"))
class NotFinite(Fit):
    def logged(self, loss):
        return loss if "HEALED" in os.environ else loss * float(os.environ.get("LOSS", "nan"))

@register(Declaration("killed", "Killed"))
class Killed(Fit):
    def logged(self, loss):
        os.kill(os.getpid(), int(os.environ.get("SIGNAL", signal.SIGKILL)))

@register(Declaration("says", "Says"))
class Says(Fit):
    def logged(self, loss):
        print("so it says")
        return loss

@register(Declaration("exits", "Exits"))
class Exits(Fit):
    def logged(self, loss):
        sys.exit(3)

@register(Declaration("hoards", "Hoards"))
class Hoards(Fit):
    def logged(self, loss):
        self.seen = collections.deque([1])
        return loss

@register(Declaration("endless", "Endless"))
class Endless(Fit):
    def logged(self, loss):
        Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
        time.sleep(600)

@register(Declaration("noted", "Noted"))
class Noted(Fit):
    noted = False

    def logged(self, loss):
        if not self.noted:
            with open(os.environ["NOTES"], "a") as file:
                file.write(f"{os.getpid()}\\n")
        self.noted = True
        return loss

@register(Declaration("paused", "Paused"))
class Paused(Noted):
    def logged(self, loss):
        super().logged(loss)
        go = Path(os.environ["GO"])
        while not go.exists():
            time.sleep(0.01)
        match go.read_text():
            case "raise":
                raise RuntimeError("told to fail")
            case "die once":
                go.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
        return loss

@register(Declaration("hungry", "Hungry"))
class Hungry(Fit):
    fed = False

    def logged(self, loss):
        seen = Path(os.environ["WORKERS"])
        (seen / str(os.getpid())).touch()
        while len(list(seen.iterdir())) < int(os.environ["CROWD"]):
            time.sleep(0.01)
        pids = {int(path.name) for path in seen.iterdir()} - {os.getpid()}
        if not self.fed and any(Path(f"/proc/{pid}").exists() for pid in pids):
            time.sleep(0.3)  # until those have seen this process as well
            kind = getattr(torch, os.environ.get("KIND", "OutOfMemoryError"))
            raise kind("CUDA error: out of memory")
        self.fed = True
        return loss

@register(Declaration("orphaning", "Orphaning"))
class Orphaning(Fit):
    def logged(self, loss):
        if os.fork() == 0:  # holds all that this process has open, its pipe too
            time.sleep(60)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

@register(Declaration("starved", "Starved"))
class Starved(Fit):
    def logged(self, loss):
        raise MemoryError
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a run: `folder` on PYTHONPATH with the outside methods and a stranger.

    The stranger is another package called `datasets`, as a machine of many projects has one.
    OMP_NUM_THREADS is left to the suite.
    """
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    (folder / "datasets" / "__init__.py").write_text("raise ImportError('the wrong datasets')\n")
    (folder / "misbehaving.py").write_text(OUTSIDE)
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "DATA_ROOT")}
    return {**kept, "PYTHONPATH": str(folder), **more}


def write_study(
    path: Path,
    methods: list[Any],
    *,
    dataset: str = "simulated",
    noise: list[dict[str, Any]] | None = None,
    **protocol: Any,
) -> Path:
    """A study `s`: two epochs under symmetric noise 0.4 unless said otherwise, seed 0, a worker."""
    study = {
        "study": "s",
        "axes": {
            "dataset": [dataset],
            "noise": noise or [{"name": "symmetric", "rate": 0.4}],
            "method": methods,
            "seed": [0],
        },
        "protocol": {"epochs": 2, **protocol},
        "run": {"workers": 1, "device": "cpu"},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(study))  # JSON is YAML
    return path


def command(study: Path, results: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(RUN_GRID), str(study), "--results", str(results), *arguments]


def run_grid(
    study: Path, results: Path, *arguments: str, folder: Path, timeout: float = 120, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs `run_grid.py` from `folder`, which holds a stranger called `datasets` as well."""
    return subprocess.run(
        command(study, results, *arguments),
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@dataclass(frozen=True)
class Finished:
    """A study of 4 methods under 2 noises after a run with `--only noise=symmetric`."""

    study: Path
    results: Path
    folder: Path
    output: str


@functools.cache
def finished_study(base: Path) -> Finished:
    """The one finished study below `base` that all tests share; it must not be changed."""
    folder = base / "elsewhere"
    methods = [
        "cross_entropy",
        {"name": "gce", "label": "pruned", "truncated": True, "k": 0.25},
        "co_teaching",
        "metalabelnet",
    ]
    noises = [{"name": "symmetric", "rate": 0.4}, {"name": "clean"}]
    study = write_study(folder / "study.yaml", methods, noise=noises)
    results = folder / "results"
    run = run_grid(study, results, "--only", "noise=symmetric", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return Finished(study, results, folder, run.stdout)


def records(results: Path) -> dict[str, dict[str, Any]]:
    """Label -> record of all finished cells of the study `s`."""
    found = [json.loads(path.read_text()) for path in results.glob("s/cells/*/record.json")]
    return {record["cell"]["label"]: record for record in found}


def cell_folder(results: Path, label: str) -> Path:
    """The folder of the one cell with that label."""
    (path,) = results.glob(f"s/cells/*__{label}__s0__*")
    return path


def timeless(path: Path) -> list[dict[str, Any]]:
    """The lines of `epochs.jsonl` without the seconds that they took."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if "seconds" not in k} for line in lines]
