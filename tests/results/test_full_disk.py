"""A full or read-only disk stops a run with one sentence; what was finished stays as it is.

The disks are real: a small tmpfs that a cell fills up or has mounted again at a chosen moment, and
a limit on the size of files. Cells tell the moment: `Doing` runs shell commands on its way.
"""

from __future__ import annotations

import contextlib
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runners.results.store import CellFolder, State
from runners.run_grid import main
from tests.helpers.cli import ROOT, cell_folder, command, environment, records, write_study
from tests.helpers.small_disks import PAGE, fill, small_disk

DOING = """
import os, subprocess
from dataclasses import dataclass
from methods.base import Method, register
from methods.declaration import Declaration, Hyperparameters

class Hparams(Hyperparameters):
    ballast: str = 5000 * "x"  # its record fills more pages than the files before it

def do(what):
    if what in os.environ:
        subprocess.run(os.environ[what], shell=True)

@register(Declaration("doing", "Doing", Hparams))
class Doing(Method):
    def step(self, batch):
        do("IN_STEP")
        if "SAYS" in os.environ:
            print(os.environ["SAYS"] * 100_000)
        loss = self.network(batch.images).logsumexp(1).mean()
        self.update(loss)
        return {"loss": loss.detach()}

    def corrected_labels(self):  # asked for once, after the last epoch
        do("AT_END")
"""
METHODS = ["cross_entropy", "doing:Doing", "fine_tune"]


@dataclass(frozen=True)
class Made:
    """A study whose second cell does things, and its results where nothing has happened to it."""

    folder: Path
    study: Path
    whole: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    folder = tmp_path_factory.mktemp("full_disk")
    (folder / "doing.py").write_text(DOING)
    study = write_study(folder / "study.yaml", METHODS, batch_size=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        assert in_process(study, folder / "whole") == 0
        yield Made(folder, study, folder / "whole")


def in_process(study: Path, results: Path, *arguments: str) -> int:
    return main([str(study), "--results", str(results), "--workers", "0", *arguments])


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """No file of this process, or of one that it starts, can become larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run(
    made: Made, results: Path, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs the study in a pool, unless the arguments say otherwise."""
    return subprocess.run(
        command(made.study, results, *arguments),
        cwd=made.folder,
        env=environment(made.folder, **more),
        capture_output=True,
        text=True,
        timeout=60,
    )


def filling(disk: Path, free: int = 0) -> str:
    """The command that fills a disk up to so many free pages."""
    fill(disk, free).unlink()  # so many pages are there
    spare, rest = disk / "spare", disk / "rest"
    return (
        f"test -e '{rest}' || {{ head -c {free * PAGE} /dev/zero > '{spare}'; "
        f"cat /dev/zero > '{rest}'; rm '{spare}'; }} 2> /dev/null"
    )


def assert_one_sentence(said: str, reason: str, files: str = ".*") -> None:
    """One line that names a file, the reason, and what to type."""
    typed = r"make room, then resume with: python \S+"
    (line,) = said.splitlines()
    assert re.match(rf"stopped, nothing more can be written: \S+/({files}): {reason}; ", line), line
    assert "what is finished is kept" in line and re.search(typed, line)


def assert_as_whole(made: Made, results: Path) -> None:
    """The results are those of the undisturbed run and nothing else is left."""
    script = ROOT / "analysis" / "compare_runs.py"
    done = subprocess.run([sys.executable, script, made.whole, results], capture_output=True)
    assert done.returncode == 0, done.stdout
    left = [p for p in results.rglob("*") if ".tmp" in p.name or p.name == "checkpoint.pt"]
    assert not left


def kept(results: Path) -> set[str]:
    """Labels of the finished cells, all of which are intact; none of the others has failed."""
    found = records(results)
    for label in found:
        assert CellFolder(cell_folder(results, label)).status().state == State.DONE
    assert not list(results.glob("s/cells/*/failed.json"))
    return set(found)


def test_a_disk_that_fills_up_stops_the_pool_and_the_same_command_goes_on(made, tmp_path):
    with small_disk(tmp_path / "disk", 500) as disk:
        results = disk / "results"
        stopped = run(made, results, IN_STEP=filling(disk))
        assert stopped.returncode == 1
        assert_one_sentence(stopped.stderr, "No space left on device", "epochs.running.jsonl")
        assert stopped.stderr.strip().endswith(f"{made.study} --results {results}")
        assert kept(results) == {"cross_entropy"}
        (disk / "rest").unlink()
        again = run(made, results)
        assert again.returncode == 0, again.stderr
        assert "3 cells: 2 missing, 1 done" in again.stdout
        assert_as_whole(made, results)


MOMENTS = {
    "study.json": ("before", 0),
    "places.json": ("before", 3),
    "leases": ("before", 4),
    "noise": ("before", 5),
    "epochs.running.jsonl": ("before", 6),
    "epochs.running.jsonl in between": ("IN_STEP", 0),
    "log.txt": ("IN_STEP", 1),
    "checkpoint.pt": ("IN_STEP", 2),
    "samples.npz": ("AT_END", 0),
    "epochs.jsonl at the end": ("AT_END", 3),
    "record.json": ("AT_END", 4),
}
"""The file that cannot be written -> when the disk is full, up to how many pages."""


@pytest.mark.parametrize("name", MOMENTS)
def test_whatever_cannot_be_written_is_named_and_the_run_goes_on_later(
    name, made, tmp_path, monkeypatch, capsys
):
    moment, free = MOMENTS[name]
    with small_disk(tmp_path / "disk", 500) as disk:
        results = disk / "results"
        results.mkdir()
        if moment == "before":
            fill(disk, free).rename(disk / "rest")
        else:
            monkeypatch.setenv(moment, filling(disk, free))
        assert in_process(made.study, results) == 1
        assert_one_sentence(capsys.readouterr().err, "No space left on device", rf".*{name[:10]}.*")
        assert kept(results) == (set() if moment == "before" else {"cross_entropy"})
        (disk / "rest").unlink()
        monkeypatch.delenv(moment, raising=False)
        assert in_process(made.study, results) == 0
        assert_as_whole(made, results)


def test_a_disk_that_becomes_read_only_stops_the_run(made, tmp_path):
    with small_disk(tmp_path / "disk", 500) as disk:
        results = disk / "results"
        stopped = run(made, results, "--workers", "0", IN_STEP=f"mount -o remount,ro {disk}")
        assert stopped.returncode == 1
        assert_one_sentence(stopped.stderr, "Read-only file system")
        assert kept(results) == {"cross_entropy"}
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert in_process(made.study, disk / "results") == 0
        assert_as_whole(made, disk / "results")


@pytest.mark.slow
def test_a_disk_that_becomes_read_only_under_a_pool_stops_it(made, tmp_path):
    with small_disk(tmp_path / "disk", 500) as disk:
        results = disk / "results"
        # With the log open nothing can be mounted again; what is mounted over it can.
        over = f"mount --bind {disk} {disk} && mount -o remount,bind,ro {disk}"
        stopped = run(made, results, IN_STEP=f"mountpoint -q {disk}/results || {over}")
        assert stopped.returncode == 1
        assert_one_sentence(stopped.stderr, "Read-only file system")
        assert kept(results) == {"cross_entropy"}


def test_a_log_that_cannot_be_written_stops_the_run_and_says_nothing_else(made, tmp_path):
    results = tmp_path / "results"
    with limited(400_000):
        stopped = run(made, results, "--only", "method=Doing", SAYS="word ")
    assert stopped.returncode == 1
    assert_one_sentence(stopped.stderr, "File too large", "log.txt")


def test_a_limit_on_the_size_of_files_stops_the_run(made, tmp_path, capsys):
    results = tmp_path / "results"
    assert in_process(made.study, results, "--only", "method=cross_entropy") == 0
    with limited(100_000):
        assert in_process(made.study, results) == 1
    assert_one_sentence(capsys.readouterr().err, "File too large", "checkpoint.pt")
    assert kept(results) == {"cross_entropy"}
    assert in_process(made.study, results) == 0
    assert_as_whole(made, results)


def test_a_full_disk_under_the_output_of_a_run_is_one_sentence(made):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        line = command(made.study, made.whole, "--status")
        known = environment(made.folder)
        done = subprocess.run(line, env=known, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "standard output: No space left on device" in done.stderr
