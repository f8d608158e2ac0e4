"""The test cluster is a real SLURM and leaves nothing behind; its faults are for other tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.slurm import processes
from tests.slurm.cluster import Cluster, running
from tests.slurm.configuration import Settings

pytestmark = pytest.mark.slurm
COMMAND = Path(__file__).with_name("cluster.py")
ENDED = ("COMPLETED", "FAILED", "CANCELLED")


def test_a_job_runs_to_its_end(slurm, tmp_path):
    job = slurm.submit(f"srun hostname > {tmp_path}/out")
    assert slurm.wait_for_state(job, *ENDED) == "COMPLETED"
    assert (tmp_path / "out").read_text().strip() == socket.gethostname()


def test_elements_of_an_array_run_each_with_a_gpu_of_its_own(slurm, tmp_path):
    line = f"srun sh -c 'echo $CUDA_VISIBLE_DEVICES > {tmp_path}/%s; sleep 60'"
    job = slurm.submit(line % "$SLURM_ARRAY_TASK_ID", "--array=0-2", "--gres=gpu:1")
    elements = [f"{job}_{number}" for number in range(3)]
    slurm.wait_for(lambda: len(list(tmp_path.iterdir())) == 2, 60, "two elements start")
    slurm.wait_for(lambda: slurm.job(elements[2]).reason == "Resources", 60, "the third waits")
    seen = {slurm.run("cat", path).strip() for path in tmp_path.iterdir()}
    assert seen == {"0", "1"}
    slurm.run("scancel", job)
    for element in elements[:2]:
        slurm.wait_for_state(element, "CANCELLED")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--array=0-16"], "Invalid job array specification"),
        (["--partition=mian"], "invalid partition"),
        (["--gres=gpu:3"], "Requested node configuration is not available"),
    ],
    ids=["array", "partition", "gpus"],
)
def test_what_the_cluster_lacks_is_refused(slurm, options, words):
    code, said = slurm.ask("sbatch", *options, script="#!/bin/sh\n")
    assert code != 0 and words in said


def test_accounts_and_the_end_of_jobs_are_on_the_books(accounted_slurm):
    slurm = accounted_slurm
    code, words = slurm.ask("sbatch", "--account=nobody", script="#!/bin/sh\n")
    assert code != 0 and "Invalid account" in words
    job = slurm.submit("exit 3", "--account=lab", "--qos=few")
    slurm.wait_for_state(job, "FAILED")
    book = ["sacct", "-X", "-n", "-P", "-j", job, "-o", "State,ExitCode"]
    slurm.wait_for(lambda: slurm.run(*book).strip() == "FAILED|3:0", 30, "sacct knows it")


def test_nothing_is_left_when_it_is_over():
    with running(Settings()) as cluster:
        job = cluster.submit("srun sh -c 'setsid sleep 3000 & sleep 3000'")
        cluster.wait_for(
            lambda: len(processes.of_jobs(cluster.conf, job, tasks_only=True)) == 3,
            60,
            "the shell and both its children",
        )
        ports = [cluster.port(key) for key in ("SlurmctldPort", "SlurmdPort")]
        assert all(listens(port) for port in ports)
        folder = cluster.folder
    assert not folder.exists()
    assert not traces(folder)
    assert not any(listens(port) for port in ports)


def test_the_command_line_starts_shows_and_ends_a_cluster():
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:
        place = Path(folder, "c")
        up = command("up", place)
        try:
            assert up.stdout == f"export SLURM_CONF={place}/slurm.conf PATH=$PATH:/usr/sbin:/sbin\n"
            assert "is usable" in command("status", place).stderr
            cluster = Cluster(place)
            job = cluster.submit("true")
            assert cluster.wait_for_state(job, *ENDED) == "COMPLETED"
            assert command("up", place).stdout == up.stdout
        finally:
            assert command("down", place).returncode == 0
        assert command("status", place).returncode == 1
        assert not place.exists() and not traces(place)


def command(word: str, folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, COMMAND, word, "--folder", folder]
    return subprocess.run(arguments, cwd="/", capture_output=True, text=True, timeout=120)


def listens(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def traces(folder: Path) -> list[str]:
    """Processes other than this one whose command or environment names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(process / name).read_bytes() for name in ("cmdline", "environ")]
        except OSError:
            continue
        if int(process.name) != os.getpid() and any(bytes(folder) in text for text in texts):
            found.append(process.name)
    return found
