"""Whatever becomes of a task, its cell resumes from its own checkpoint to the same bits.

One study, whose cells are disturbed one after the other; the last test compares all of them with an
undisturbed local run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers import cli
from tests.helpers.cli import ROOT
from tests.slurm import processes
from tests.slurm.configuration import NODE
from tests.slurm.lives import DEADLINE, Life, Task
from tests.slurm.studies import LATER

pytestmark = pytest.mark.slurm
WARNED, REQUEUED, REQUEUEHELD, CANCELLED, ENDED, PREEMPTED = range(6)
TWICE, ALONE, HELD, NODE_FAULTS = range(6, 10)
"""Elements of the array."""


@pytest.fixture(scope="module")
def life(slurm, tmp_path_factory) -> Life:
    return Life(slurm, tmp_path_factory.mktemp("life"), 12)


@pytest.fixture(scope="module")
def reference(life):
    """The same study, undisturbed, on this machine."""
    line = cli.command(life.file, life.folder / "local", "--workers", "1")
    told = {"cwd": life.folder, "env": cli.environment(life.folder)}
    process = subprocess.Popen(["nice", *line], stdout=subprocess.DEVNULL, **told)
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def limited(life) -> Task:
    """A plain job that needs longer than its limit of two minutes, running."""
    (task,) = life.submit("10", 2, "--set", "slurm.time=2")
    return task


@pytest.fixture(scope="module")
def stuck(life, limited):
    """A plain job that gets nowhere; it is warned twice while other tests run."""
    (task,) = life.submit("11", float("inf"), "--set", "slurm.time=2")
    with ThreadPoolExecutor(1) as pool:
        yield task, pool.submit(task.warn_twice)


@pytest.fixture(scope="module")
def tasks(life, reference, limited, stuck) -> list[Task]:
    """Elements of an array. Some begin at once, the others when a test starts them."""
    made = life.submit(",".join(map(str, range(10))), 2, *LATER)
    life.slurm.scontrol("update", f"jobid={made[PREEMPTED].id}", "partition=preempt")
    for task in made[:TWICE]:
        task.start()
    return made


@pytest.fixture
def twin(tasks):
    """What an element does, once more, started by hand beside it."""
    for task in (tasks[TWICE], tasks[ALONE]):
        task.start()
    tasks[TWICE].wait_for_attempt(1)
    process = tasks[TWICE].once_more()
    yield process
    process.kill()
    process.wait()


def test_a_limit_without_time_for_a_checkpoint_is_refused_before_anything_is_written(
    life, tmp_path
):
    more = ("--backend", "slurm", "--set", "slurm.time=1")
    told = {"folder": life.folder, **life.variables}
    refused = cli.run_grid(life.file, tmp_path / "results", *more, **told)
    assert refused.returncode == 2 and not (tmp_path / "results").exists()
    (sentence,) = refused.stderr.splitlines()
    assert "slurm.time: 1 is not allowed: must be at least 2" in sentence


def test_a_task_that_is_warned_twice_goes_on_twice(tasks):
    task = tasks[WARNED]
    for attempt in (1, 2):
        task.wait_for_attempt(attempt)
        warned = time.time()
        task.signal("USR2")
        assert task.wait_for_requeue().startswith(f"requeued  job {task.id} resumes")
        assert task.files.checkpoint.stat().st_mtime > warned
        task.slurm.start_now(task.id)
    task.finish(3)


def test_an_operator_may_requeue_a_task_and_hold_it(tasks):
    requeued, held = tasks[REQUEUED], tasks[REQUEUEHELD]
    for task, command in ((requeued, "requeue"), (held, "requeuehold")):
        task.wait_for_attempt(1)
        task.slurm.scontrol(command, task.id)
    assert requeued.wait_for_requeue().startswith("requeued")
    said = held.wait_for_requeue()
    assert said.startswith("requeued") and "release it with: scontrol release" in said
    held.slurm.scontrol("release", held.id)
    for task in (requeued, held):
        task.slurm.start_now(task.id)
    for task in (requeued, held):
        task.finish(2)


def test_a_task_whose_step_is_cancelled_is_not_run_again_by_itself(tasks, life):
    task = tasks[CANCELLED]
    task.wait_for_attempt(1)
    ended = time.time()
    task.signal("TERM")
    task.slurm.wait_for_state(task.id, "FAILED", deadline=DEADLINE)
    assert task.files.checkpoint.stat().st_mtime > ended
    assert task.status().startswith("failed    cancelled")
    assert "nothing to submit" in life.look(*task.dry_run)


def test_a_task_that_is_asked_to_end_is_run_again(tasks, life):
    task = tasks[ENDED]
    task.wait_for_attempt(1)
    ended = time.time()
    for pid in task.slurm.wait_for_task(task.id):
        os.kill(pid, signal.SIGTERM)
    task.slurm.wait_for_state(task.id, "FAILED", deadline=DEADLINE)
    assert task.files.checkpoint.stat().st_mtime > ended
    assert task.status().startswith("failed    the task was asked to end by SIGTERM")
    assert "would submit 1 cell" in life.look(*task.dry_run)


def test_at_its_time_limit_a_task_requeues_itself_and_goes_on(limited):
    assert limited.wait_for_requeue().startswith("requeued")
    began, limit = limited.notes()
    assert limit["what"] == "limit" and limit["when"] - began["when"] > 30
    limited.slurm.start_now(limited.id)
    limited.finish(2)


def test_a_task_that_gets_nowhere_in_two_attempts_is_not_tried_a_third_time(stuck, life):
    task, warned = stuck
    assert warned.result().startswith("requeued")
    said = task.status()
    assert said.startswith("failed") and "two attempts in a row came to their time limit" in said
    assert "nothing to submit" in life.look(*task.dry_run)
    assert "would submit 1 cell" in life.look(*task.dry_run, "--retry-failed")


def test_a_task_makes_room_for_others(tasks):
    task, slurm = tasks[PREEMPTED], tasks[PREEMPTED].slurm
    for attempt, grace in ((1, 0), (2, 20)):  # with a grace time it is warned
        task.wait_for_attempt(attempt)
        slurm.scontrol("update", "partitionname=preempt", f"GraceTime={grace}")
        urgent = slurm.submit("srun sleep 300", "--exclusive")
        assert task.wait_for_requeue().startswith("requeued")
        slurm.wait_for_state(urgent, "RUNNING")
        slurm.run("scancel", urgent)
        task.slurm.start_now(task.id)
    slurm.scontrol("update", "partitionname=preempt", "GraceTime=0")
    task.finish(3)
    assert [line["what"] for line in task.notes()][-3:] == ["began", "warned", "began"]


def test_a_task_may_be_held_before_it_runs_and_suspended_while_it_does(tasks):
    task = tasks[HELD]
    task.slurm.scontrol("hold", task.id)
    task.wait(lambda: "it was held by an operator" in task.status(), "it is held")
    task.slurm.scontrol("release", task.id)
    task.start()
    task.wait_for_attempt(1)
    task.slurm.scontrol("suspend", task.id)
    assert task.status().startswith("suspended")
    task.slurm.scontrol("resume", task.id)
    assert task.status().startswith("running")
    task.finish(1)


def test_two_tasks_of_one_cell_do_its_work_once(tasks, twin):
    task = tasks[TWICE]
    task.wait(lambda: task.began() == 2, "the twin begins")
    task.signal("USR2")
    task.wait_for_attempt(2)  # by the twin
    task.slurm.start_now(task.id)
    task.wait(lambda: task.began() == 3, "the task begins again")
    task.finish(2)
    assert twin.wait(DEADLINE) == 0


def test_a_task_that_cannot_requeue_itself_is_submitted_again(tasks, life):
    task, slurm = tasks[ALONE], tasks[ALONE].slurm
    task.wait_for_attempt(1)
    job = slurm.details(task.id)["JobId"]
    slurm.stop_controller()
    try:
        for pid in processes.of_jobs(slurm.conf, job, tasks_only=True):
            os.kill(pid, signal.SIGUSR2)
        assert "the SLURM controller does not answer" in life.look("--status")
        processes.poll(lambda: not processes.of_jobs(slurm.conf, job, True), 60, "the task ends")
    finally:
        slurm.start_controller()
    slurm.wait_for_state(task.id, "FAILED", deadline=DEADLINE)
    assert task.status().startswith("failed    SLURM did not take its requeue")
    assert "would submit 1 cell" in life.look(*task.dry_run)


def test_a_task_goes_on_when_its_node_is_back(tasks):
    task, slurm = tasks[NODE_FAULTS], tasks[NODE_FAULTS].slurm
    task.start()
    task.wait_for_attempt(1)
    slurm.start_too_soon(task.id)
    said = task.wait_for_requeue()
    assert said.startswith("requeued") and "its start failed and it is held: release it" in said
    slurm.scontrol("release", task.id)
    slurm.start_now(task.id)
    task.wait_for_attempt(2)
    slurm.lose_power()
    try:
        said = task.status()
        assert said.startswith(f"running   job {task.id} runs on {NODE}")
        assert said.endswith("no sign of this cell now")
    finally:
        slurm.restore_power()
    assert task.wait_for_requeue().startswith("requeued")
    slurm.start_now(task.id)
    task.finish(3)


def test_further_runs_complete_the_study_to_the_same_bits(life, reference):
    plain = life.grid("--backend", "slurm")
    assert "submitted 2 cells in 2 tasks" in plain.stdout, plain.stdout + plain.stderr
    last = life.grid("--backend", "slurm", "--retry-failed", "--wait")
    assert "submitted 2 cells" in last.stdout and last.returncode == 0, last.stdout + last.stderr
    assert reference.wait(DEADLINE) == 0
    line = [sys.executable, ROOT / "analysis" / "compare_runs.py", life.results]
    compared = subprocess.run([*line, life.folder / "local"], capture_output=True, text=True)
    assert compared.returncode == 0, compared.stdout
