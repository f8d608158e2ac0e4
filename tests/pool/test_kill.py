"""Kill it anywhere: what is left is whole, and the next run ends where an undisturbed one does.

`sitecustomize` below makes workers kill themselves at chosen file operations; the random kills come
from outside, by SIGKILL to the whole group or to the runner alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runners.results.leases import Leases
from runners.results.store import CellFolder, State
from runners.system.files import read_checked
from tests.helpers.cli import KILLED, ROOT, command, environment, run_grid, write_study

METHODS = [
    "cross_entropy",
    {"name": "gce", "label": "pruned", "truncated": True, "k": 0.25},
    "co_teaching",
    "mw_net",
    "metalabelnet",
    "fine_tune",
]

SELF_KILLING = '''
"""Kills this process at renames that the environment names: "record.json before,...", each once."""
import os, pathlib, signal

rename = pathlib.Path.replace
events = os.environ.get("KILL_AT", "").split(",")

def replace(self, target):
    name = pathlib.Path(target).name
    for number, event in enumerate(events):
        what, _, when = event.partition(" ")
        if what == name:
            mark = pathlib.Path(os.environ["KILL_MARKS"], str(number))
            try:
                mark.open("x").close()
            except FileExistsError:
                continue  # has happened
            if when == "half":
                os.truncate(self, self.stat().st_size // 2)
            if when == "after":
                rename(self, target)
            os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

pathlib.Path.replace = replace
'''


def make_study(folder: Path, epochs: int) -> Path:
    return write_study(folder / "study.yaml", METHODS, epochs=epochs, batch_size=32)


def equal(one: Path, other: Path) -> None:
    """Fails unless two folders of results are equal, bit for bit."""
    script = ROOT / "analysis" / "compare_runs.py"
    compared = subprocess.run([sys.executable, script, one, other], capture_output=True, text=True)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert f"{len(METHODS)} cells are equal, bit for bit" in compared.stdout


def assert_whole(results: Path) -> None:
    """No file that others would read is half written."""
    for path in results.glob("s/cells/*/"):
        folder = CellFolder(path)
        assert folder.status().state != State.DAMAGED
        assert not folder.checkpoint.exists() or read_checked(folder.checkpoint) is not None


def assert_tidy(results: Path) -> None:
    left = [p.name for p in results.rglob("*") if ".tmp" in p.name or "checkpoint" in p.name]
    assert left == [] and list((results / "s" / "leases").iterdir()) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """Results of the grid with 6 epochs, one cell after the other in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = run_grid(make_study(folder, 6), folder / "results", "--workers", "0", folder=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "results"


def test_workers_killed_while_they_write_cost_no_bit(undisturbed, tmp_path):
    files = ("checkpoint.pt", "samples.npz", "epochs.jsonl", "record.json")
    events = [f"{name} {when}" for name in files for when in ("before", "half", "after")]
    study, results = make_study(tmp_path, 6), tmp_path / "results"
    (tmp_path / "marks").mkdir()
    (tmp_path / "sitecustomize.py").write_text(SELF_KILLING)
    more = {"KILL_AT": ",".join(events), "KILL_MARKS": str(tmp_path / "marks")}
    settings = ["--workers", "2", "--set", "run.retries=20"]
    # Twelve workers die, and each one's successor imports torch.
    run = run_grid(study, results, *settings, folder=tmp_path, timeout=600, **more)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(list((tmp_path / "marks").iterdir())) == len(events)
    # One that dies after the rename of its record has finished its cell: nothing is tried again.
    assert len(re.findall(f"{KILLED}; retrying", run.stdout)) == len(events) - 1
    assert_tidy(results)
    equal(undisturbed, results)


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_runs_on():
    """A test that fails leaves no run behind, which would slow down all others."""
    yield
    for run in STARTED:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    STARTED.clear()


def start(study: Path, results: Path, folder: Path, *arguments: str) -> subprocess.Popen:
    run = subprocess.Popen(
        command(study, results, "--workers", "2", *arguments),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    STARTED.append(run)
    return run


def gone(run: subprocess.Popen, seconds: float) -> bool:
    """Whether no process of the run's group is left after at most so many seconds."""
    end = time.monotonic() + seconds
    while _group(run.pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _group(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def kill_again_and_again(
    whole: Path, folder: Path, epochs: int, kills: int, seed: int, longest: float = 9
) -> None:
    """Runs a grid through so many SIGKILLs at random moments; its end must equal that of `whole`.

    A grid that comes to its end between two of them, as on a fast machine, is compared and begun
    again in another folder.
    """
    rng = random.Random(seed)
    study, grids = make_study(folder, epochs), 1
    often = ["--set", "run.checkpoint_minutes=0.0005"]
    for _ in range(kills):
        while ended(
            run := start(study, folder / str(grids), folder, *often), rng.uniform(1, longest)
        ):
            assert run.returncode == 0
            equal(whole, folder / str(grids))
            grids += 1
        if alone := rng.random() < 0.5:
            run.kill()
        else:
            os.killpg(run.pid, signal.SIGKILL)
        assert gone(run, 5.0), f"workers outlive their runner, killed {'alone' if alone else ''}"
        run.communicate()
        assert_whole(folder / str(grids))
        assert Leases(folder / str(grids) / "s" / "leases").live() == {}
    results = folder / str(grids)
    last = run_grid(study, results, "--workers", "2", *often, folder=folder, timeout=1800)
    assert last.returncode == 0, last.stdout + last.stderr
    assert_tidy(results)
    equal(whole, results)
    print(f"survived {kills} kills of {grids} grids")


def ended(run: subprocess.Popen, seconds: float) -> bool:
    """Whether a run comes to its end by itself within so many seconds."""
    try:
        run.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_a_few_kills_at_random_moments_cost_no_bit(tmp_path):
    whole = tmp_path / "whole"
    run = run_grid(make_study(whole, 20), whole / "results", folder=whole)
    assert run.returncode == 0, run.stdout + run.stderr
    kill_again_and_again(whole / "results", tmp_path / "killed", 20, kills=2, seed=5, longest=5)


@pytest.fixture(scope="module")
def long_undisturbed(tmp_path_factory) -> Path:
    """Results of the grid with epochs enough for most of twenty kills."""
    folder = tmp_path_factory.mktemp("long")
    settings = ["--workers", "2"]
    run = run_grid(
        make_study(folder, 300), folder / "results", *settings, folder=folder, timeout=1800
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "results"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_many_kills_at_random_moments_cost_no_bit(seed, long_undisturbed, tmp_path):
    kill_again_and_again(long_undisturbed, tmp_path, 300, kills=20, seed=seed)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_run_within_ten_seconds_and_its_last_checkpoint_stands(
    number, workers, tmp_path
):
    study, results = make_study(tmp_path, 100_000), tmp_path / "results"
    run = start(study, results, tmp_path, "--only", "method=mw_net", "--workers", workers)
    folder = wait_for_epochs(results, 3)
    asked = time.monotonic()
    run.send_signal(number)
    _, said = run.communicate(timeout=30)
    assert time.monotonic() - asked < 10 and gone(run, 5.0)
    assert run.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert "resume from their checkpoints; resume with: python" in said and "Traceback" not in said
    assert read_checked(folder.checkpoint) is not None and not folder.failed.exists()
    assert not list(results.rglob("*.tmp*"))
    assert Leases(results / "s" / "leases").live() == {}


ASKED_BY_ANOTHER = """
import signal, subprocess, sys
from runners.system.signals import stop_requested, request_stop
signal.signal(signal.SIGTERM, request_stop)
ask = "import os, signal; [os.kill(os.getppid(), signal.SIGTERM) for _ in range(100_000)]"
asking = subprocess.Popen([sys.executable, "-c", ask])
while asking.poll() is None:
    pass
print(stop_requested())
"""


def test_a_worker_that_is_asked_to_end_by_several_at_once_does_not_hang():
    # SLURM sends SIGTERM to all processes of a task, and the runner among them passes it on.
    line = [sys.executable, "-c", ASKED_BY_ANOTHER]
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout == "True\n", run.stderr


def wait_for_epochs(results: Path, epochs: int) -> CellFolder:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for path in results.glob("s/cells/*/"):
            folder = CellFolder(path)
            if folder.finished_epochs() >= epochs and folder.checkpoint.exists():
                return folder
        time.sleep(0.05)
    raise AssertionError("no cell has come that far")
