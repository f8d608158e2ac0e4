"""The commands of the page on clusters, typed as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cli import ROOT
from tests.slurm.cluster import Cluster
from tests.slurm.configuration import NODE

pytestmark = pytest.mark.slurm

PAGE = (ROOT / "docs" / "clusters.md").read_text()
(STUDY,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(BLOCK,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


class Shell:
    """A person's shell in a folder with the study, on a site with a command `module`."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        # Names of the reader's site become those of the test's, and one epoch is enough.
        here = STUDY.replace("partition: gpu", "partition: main") + "protocol: {epochs: 1}\n"
        (folder / "cluster.yaml").write_text(here)
        (folder / "runners").symlink_to(ROOT / "runners")
        module = {"BASH_FUNC_module%%": f"() {{ echo $@ >> {folder / 'modules'}; }}"}
        self.env = {**cluster.env, **module}

    def type(self, line: str) -> str:
        """Types a line of the page; returns what it printed."""
        words = [sys.executable, *shlex.split(line, comments=True)[1:]]
        run = subprocess.run(
            [*words, "--results", str(self.folder / "results")],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def wait(self) -> None:
        """Until nothing is in the queue any more."""
        self.cluster.wait_for(
            lambda: not self.cluster.run("squeue", "-h"), 120, "the queue does not become empty"
        )


@pytest.fixture
def shell(slurm, tmp_path) -> Shell:
    return Shell(slurm, tmp_path)


def test_the_commands_of_the_readme_do_what_they_say(slurm, shell):
    dry, submit, status, cancel, logs, again, retry = BLOCK.splitlines()
    shown = shell.type(dry)
    for option in ("partition=main", "account=my_lab", "time=240", "gpus-per-node=1", "mem=4G"):
        assert f"#SBATCH --{option}" in shown
    assert "\nmodule load python\n" in shown and not (shell.folder / "results").exists()

    slurm.scontrol("update", f"nodename={NODE}", "state=drain", "reason=test")
    try:
        said = shell.type(submit)
        assert re.search(r"^submitting 4 cells in 2 tasks of 1 array, up to 2 cells", said, re.M)
        assert "4 queued" in shell.type(status)
        assert "finished cells and checkpoints are kept" in shell.type(cancel)
        shell.wait()
    finally:
        slurm.node_resume()
    assert "/log.txt" in shell.type(logs)
    assert shell.type(again).splitlines()[-1] == "nothing to submit"
    assert "submitted 4 cells in 2 tasks" in shell.type(retry)
    shell.wait()
    assert "4 cells: 4 done" in shell.type(status)
    assert (shell.folder / "modules").read_text() == "load python\n" * 2
    assert shell.type(again).splitlines()[-1] == "nothing to submit"
