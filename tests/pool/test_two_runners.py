"""Two runners of one folder run each cell once between them, whatever becomes of one of them."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import records, run_grid, write_study
from tests.helpers.lease_processes import OTHER_NODE, wait_for, why_no_other_node
from tests.helpers.runners import WAITS, Site, site
from tests.helpers.study_pairs import compare

METHODS = ["misbehaving:Noted", "cross_entropy", "gce", "co_teaching"]
SEEDS = ["--set", "axes.seed=[1, 2]"]


@pytest.fixture
def paused(tmp_path) -> Iterator[Site]:
    """A runner in the middle of the only cell, and another one that waits for it."""
    with site(tmp_path, "misbehaving:Paused") as made:
        made.start()
        wait_for(made.notes, 60)
        other = made.start("--workers", "0")
        wait_for(lambda: WAITS in other.said(), 60)
        yield made


def gone(pid: int) -> bool:
    """Whether a process has ended, be it reaped or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The results of one runner without another one."""
    folder = tmp_path_factory.mktemp("alone")
    study = write_study(folder / "study.yaml", METHODS)
    words = [*SEEDS, "--workers", "0"]
    run = run_grid(study, folder / "results", *words, folder=folder, NOTES=str(folder / "notes"))
    assert run.returncode == 0, run.stdout + run.stderr
    return folder / "results"


def assert_each_once(made: Site, alone: Path) -> None:
    for runner in made.runners:
        assert "8 of 8 cells done" in runner.ends(0)
    made.assert_clean()
    assert len(made.notes()) == 2
    here = "".join(runner.said() for runner in made.runners)
    done = re.findall(r"^\[\d+/\d+\] (\S+)  [\d.]+ %  \S+ s  \(", here, re.MULTILINE)
    assert len(set(done)) == len(done) == 8  # each by one of the two
    for path in made.results.glob("s/cells/*/record.json"):
        assert json.loads(path.read_text())["provenance"]["attempts"] == 1
    for path in made.results.glob("s/cells/*/log.txt"):
        assert path.read_text().count(" epoch 1 accuracy") == 1
    assert compare(made.results, alone) == (0, ["8 cells are equal, bit for bit"])


def test_two_runners_started_together_run_each_cell_once_to_the_bits_of_one(tmp_path, alone):
    with site(tmp_path, *METHODS) as made:
        for _ in range(2):
            made.start(*SEEDS, "--workers", "2")
        assert_each_once(made, alone)


@pytest.mark.slow
@pytest.mark.skipif(bool(why_no_other_node()), reason=why_no_other_node())
def test_two_runners_on_two_nodes_run_each_cell_once(tmp_path, alone):
    with site(tmp_path, *METHODS) as made:
        made.start(*SEEDS, "--workers", "0")
        made.start(*SEEDS, "--workers", "0", before=OTHER_NODE)
        assert_each_once(made, alone)


def test_a_runner_that_finds_nothing_free_waits_for_the_other_one(paused):
    first, second = paused.runners
    paused.say("on")
    assert "by another runner" in second.ends(0)
    assert "1 of 1 cell done" in first.ends(0)
    assert len(paused.notes()) == 1
    paused.assert_clean()


def test_a_cell_that_fails_at_the_other_runner_counts_for_both(paused):
    paused.say("raise")
    first, second = (runner.ends(1) for runner in paused.runners)
    reason = "RuntimeError: told to fail"
    assert f"FAILED at another runner: {reason}" in second and f"FAILED: {reason}" in first
    assert "0 of 1 cell done" in second and len(paused.notes()) == 1
    paused.assert_clean()


@pytest.mark.slow
def test_a_cell_that_fails_once_and_goes_well_when_it_is_tried_again_is_done_for_both(paused):
    paused.say("die once")
    for runner in paused.runners:
        assert "1 of 1 cell done" in runner.ends(0)
    (record,) = records(paused.results).values()
    assert len(paused.notes()) == record["provenance"]["attempts"] == 2
    paused.assert_clean()


@pytest.mark.parametrize("whole_group", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_runner_takes_over_the_cells_of_one_that_was_killed(paused, whole_group):
    first, second = paused.runners
    kill = os.killpg if whole_group else os.kill
    kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    wait_for(lambda: len(paused.notes()) == 2, 60)
    worker, successor = paused.notes()
    assert gone(worker) and successor == second.process.pid
    paused.say("on")
    assert "1 of 1 cell done" in second.ends(0)
    paused.assert_clean()


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)]
)
def test_workers_end_within_5_s_of_their_runner_and_their_leases_are_free(tmp_path, how):
    with site(tmp_path, "misbehaving:Paused") as made:
        runner = made.start(*SEEDS, "--workers", "2")
        wait_for(lambda: len(made.notes()) == 2, 60)
        cells = list(made.leases.live())
        assert len(cells) == 2
        os.kill(runner.process.pid, how)
        wait_for(lambda: all(gone(pid) for pid in made.notes()), 5)
        assert runner.process.wait(timeout=10) == -how
        assert made.leases.live() == {}
        for cell in cells:
            made.leases.take(cell).release()
        made.assert_clean()
