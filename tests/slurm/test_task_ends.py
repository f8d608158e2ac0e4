"""However a task or a cell in it ends: a true reason, the right next step, nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import write_study
from tests.slurm.accidents import OnSlurm, labelled
from tests.slurm.studies import LATER, assert_equal, undisturbed

pytestmark = pytest.mark.slurm

WITHIN = ("dies-once", "exits", "plain", "raises", "vanishes")
GREEDY = ("greedy-1", "greedy-2")
ALIVE = ("alive-1-killed", "alive-2-cancelled", "alive-3-pending")
WAITING = ("waiting-1", "waiting-2")
LABELS = (*WITHIN, *GREEDY, *ALIVE, *WAITING)
EPOCHS = 6


def only(*labels: str) -> list[str]:
    return ["--only", f"method={','.join(labels)}"]


@pytest.fixture(scope="module")
def on(slurm, tmp_path_factory) -> OnSlurm:
    folder = tmp_path_factory.mktemp("ends")
    study = write_study(folder / "study.yaml", labelled(*LABELS), epochs=EPOCHS)
    return OnSlurm(slurm, folder, study)


@pytest.fixture(scope="module")
def whole(on) -> Iterator[Callable[[], Path]]:
    """Waits for the results of a local run in which nothing fails."""
    with undisturbed(on.study, on.folder / "undisturbed") as results:
        yield results


@pytest.fixture(scope="module")
def ended(on, whole) -> dict[str, str]:
    """The accidents; returns the last state of some tasks, by what was in them."""
    waiting = on.submit(*only(*WAITING), *LATER)
    on.cluster.run("scancel", waiting[0].partition("_")[0])
    alive = on.submit(*only(*ALIVE), "--set", "slurm.max_running=2", HOLD="2")
    on.cluster.run("scancel", alive[2])
    several = ["--set", "slurm.cells_per_task=5", "--set", "slurm.cpus_per_task=2"]
    (shared,) = on.submit(*only(*WITHIN), *several)
    greedy = on.submit(*only(*GREEDY))
    for label in ALIVE[:2]:
        on.wait_for_checkpoints(label, 2)
    on.cluster.kill_task(alive[0])
    on.cluster.run("scancel", alive[1])
    states = on.wait_for_end(*waiting, shared, *greedy, *alive)
    return {"shared": states[shared], **dict(zip(GREEDY, map(states.get, greedy), strict=True))}


@pytest.fixture(scope="module")
def said(on, ended) -> dict[str, tuple[str, str]]:
    """What `--status` says afterwards."""
    return on.states()


def test_a_cell_that_fails_is_no_failure_of_its_task(on, ended, said):
    assert ended["shared"] == "COMPLETED"
    assert said["plain"][0] == "done"
    state, note = said["raises"]
    assert state == "failed" and note.startswith("RuntimeError: no luck with this batch; log: ")
    left = json.loads(on.cell("raises").failed.read_text())
    assert "Traceback" in left["details"] and "misbehave" in left["details"]


@pytest.mark.parametrize(
    ("label", "words"),
    [("exits", "exited with code 3"), ("vanishes", "the worker ended with exit code 0")],
)
def test_a_cell_or_a_worker_that_exits_is_a_failure_with_the_exit_code(said, label, words):
    state, note = said[label]
    assert state == "failed" and note.startswith(f"{words}; log: ")


def test_a_killed_worker_is_replaced_and_its_cell_goes_on_inside_the_task(on, said):
    assert said["dies-once"][0] == "done"
    assert "resumed after epoch 1" in on.cell("dies-once").log.read_text()
    record = json.loads(on.cell("dies-once").record.read_text())
    assert record["provenance"]["attempts"] == 2


@pytest.mark.parametrize("label", GREEDY)
def test_a_task_killed_for_its_memory_says_what_to_raise(ended, said, label):
    assert ended[label] == "FAILED"
    state, note = said[label]
    assert state == "failed" and note.startswith("out of memory: raise slurm.mem (job ")


def test_a_killed_task_says_so(said):
    state, note = said[ALIVE[0]]
    assert state == "failed" and note.startswith("the task was killed (job ")


@pytest.mark.parametrize("label", [*ALIVE[1:], *WAITING])
def test_a_cancelled_task_says_so_running_or_waiting(said, label):
    state, note = said[label]
    assert state == "failed" and note.startswith("cancelled (job ")


def test_a_plain_run_takes_up_the_killed_task_and_nothing_else(on, said):
    steps = on.type("--status").stdout.splitlines()[-2:]
    assert "--retry-failed" not in steps[0] and steps[0].endswith("what may pass (1)")
    assert "--retry-failed" in steps[1] and steps[1].endswith("retries what failed (9)")
    (job,) = on.submit()
    assert on.wait_for_end(job) == {job: "COMPLETED"}
    said = on.states()
    assert said[ALIVE[0]][0] == "done"
    assert "resumed after epoch" in on.cell(ALIVE[0]).log.read_text()
    done = {label for label, (state, _) in said.items() if state == "done"}
    assert done == {"plain", "dies-once", ALIVE[0]}
    again = on.type("--backend", "slurm")
    assert again.returncode == 0 and again.stdout.splitlines()[-1] == "nothing to submit"


def test_every_other_failure_is_tried_again_on_request_and_no_bit_is_lost(on, said, whole):
    several = ["--set", "slurm.cells_per_task=9", "--set", "slurm.cpus_per_task=2"]
    run = on.type("--backend", "slurm", "--retry-failed", *several, "--wait", HEALED="yes")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1].startswith(f"{len(LABELS)} of {len(LABELS)} cells done;")
    assert_equal(on.results, whole(), len(LABELS))


@pytest.fixture
def tiny(slurm, tmp_path) -> Iterator[OnSlurm]:
    """A study of one cell whose results are on a disk that cannot hold its checkpoint."""
    results = tmp_path / "results"
    results.mkdir()
    slurm.run("mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", results)
    try:
        study = write_study(tmp_path / "study.yaml", labelled("plain"), epochs=4)
        yield OnSlurm(slurm, tmp_path, study)
    finally:
        slurm.run("umount", "--lazy", results)


def test_a_full_disk_is_the_reason_and_a_plain_run_goes_on_when_there_is_room(tiny):
    (job,) = tiny.submit()
    assert tiny.wait_for_end(job) == {job: "FAILED"}
    state, note = tiny.states()["plain"]
    assert state == "failed" and note.startswith("nothing more could be written: make room")
    (log,) = tiny.results.glob("s/slurm/*/*.err")
    assert log.read_text().count("Traceback") == 1
    tiny.cluster.run("mount", "-o", "remount,size=9m", tiny.results)
    (job,) = tiny.submit()
    assert tiny.wait_for_end(job) == {job: "COMPLETED"}
    assert tiny.states()["plain"][0] == "done"


@pytest.mark.parametrize(
    ("script", "signal", "words"),
    [
        ("#!/no/python", None, "the task failed: "),
        ("#!/bin/sh\nexec sleep 100", "USR2", "the time limit came before it got on: raise slurm"),
    ],
    ids=["missing", "slow"],
)
def test_a_task_whose_python_never_comes_to_its_cells_says_why(
    slurm, tmp_path, script, signal, words
):
    study = write_study(tmp_path / "study.yaml", labelled("plain"), epochs=4)
    on, python = OnSlurm(slurm, tmp_path, study), tmp_path / "python"
    python.write_text(f"{script}\n")
    python.chmod(0o755)
    (job,) = on.submit("--set", f"slurm.python={python}")
    if signal:
        slurm.wait_for_task(job)
        slurm.run("scancel", f"--signal={signal}", f"{job}.0")
    assert on.wait_for_end(job) == {job: "FAILED"}
    state, note = on.states()["plain"]
    assert state == "failed" and note.startswith(words), note
    assert on.type("--backend", "slurm").stdout.splitlines()[-1] == "nothing to submit"


def test_results_that_are_removed_while_tasks_wait_are_missing_and_can_be_made(slurm, tmp_path):
    study = write_study(tmp_path / "study.yaml", labelled("plain"), epochs=4)
    on = OnSlurm(slurm, tmp_path, study)
    (old,) = on.submit(*LATER)
    shutil.rmtree(on.results / "s")
    assert on.states() == {"plain": ("missing", "")}
    (new,) = on.submit(*LATER)
    slurm.scontrol("update", f"jobid={old}", "StartTime=now")
    assert on.wait_for_end(old) == {old: "FAILED"}
    assert on.states()["plain"][0] == "queued" and slurm.state(new) == "PENDING"
    assert on.type("--cancel").returncode == 0
