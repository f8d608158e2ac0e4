"""What all studies on a test cluster have in common, and how they are compared with a local run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.cli import ROOT, command, environment
from tests.slurm.cluster import Cluster

LATER = ("--set", "slurm.additional={begin: now+1hour}")
"""Tasks wait in the queue until a test starts them."""


@dataclass(frozen=True)
class SlurmStudy:
    """A study `s` whose results are in `folder/results`, and the cluster that it runs on."""

    cluster: Cluster
    folder: Path
    study: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def variables(self) -> dict[str, str]:
        """What a command needs in its environment to find the cluster."""
        return {name: self.cluster.env[name] for name in ("PATH", "SLURM_CONF")}


def assert_equal(one: Path, other: Path, cells: int) -> None:
    """Fails unless two results folders have so many cells, equal bit for bit."""
    script = ROOT / "analysis" / "compare_runs.py"
    compared = subprocess.run([sys.executable, script, one, other], capture_output=True, text=True)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert f"{cells} cells are equal, bit for bit" in compared.stdout


@contextlib.contextmanager
def undisturbed(study: Path, folder: Path) -> Iterator[Callable[[], Path]]:
    """A local run of a study beside everything else; yields what waits for its results."""
    line = command(study, folder / "results", "--workers", "1")
    output = folder / "output"
    told = {"cwd": folder, "env": environment(folder)}  # which makes the folder
    with output.open("w") as file:
        run = subprocess.Popen(line, stdout=file, stderr=file, **told)

    def results() -> Path:
        assert run.wait(120) == 0, output.read_text()
        return folder / "results"

    try:
        yield results
    finally:
        run.kill()
        run.wait()
