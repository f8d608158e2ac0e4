"""Whatever becomes of a task, its cell goes on from its own checkpoint to the same bits.

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

from runners.slurm import attempts
from tests import made_runs
from tests.made_runs import ROOT
from tests.slurm import processes
from tests.slurm.configuration import NODE
from tests.slurm.studies_f import DEADLINE, LATER, Life, Task

pytestmark = pytest.mark.slurm
WARNED, REQUEUED, REQUEUEHELD, CANCELLED, ENDED, PREEMPTED, TWICE, ALONE, HELD, NODE_FAULTS = range(
    10
)
"""Elements of the array."""


@pytest.fixture(scope="module")
def life(slurm, tmp_path_factory) -> Life:
    return Life(slurm, tmp_path_factory.mktemp("life"), 12)


@pytest.fixture(scope="module")
def reference(life):
    """The same study, undisturbed, on this machine."""
    line = made_runs.command(life.file, life.folder / "local", "--workers", "1")
    process = subprocess.Popen(
        ["nice", *line],
        cwd=life.folder,
        env=made_runs.environment(life.folder),
        stdout=subprocess.DEVNULL,
    )
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
        yield task, pool.submit(warn_twice, task)


@pytest.fixture(scope="module")
def tasks(life, reference, limited, stuck) -> list[Task]:
    """Elements of an array. Some begin at once, the others when a test starts them."""
    made = life.submit(",".join(map(str, range(10))), 2, *LATER)
    life.slurm.scontrol("update", f"jobid={made[PREEMPTED].id}", "partition=preempt")
    for task in made[:TWICE]:
        task.start()
    return made


@pytest.fixture
def twin(tasks, life):
    """What an element does, once more, started by hand beside it."""
    task = tasks[TWICE]
    for each in (task, tasks[ALONE]):
        each.start()
    task.wait_for_attempt(1)
    told = {"SLOWED": str(task.slowed.parent), "PAUSE": "2", "SLURM_ARRAY_TASK_ID": str(TWICE)}
    env = made_runs.environment(life.folder, **life.variables, **told)
    folder, name = str(task.element.manifest.folder), task.element.task
    run = f"RunCells({folder!r}, {name!r}, ({task.cell!r},))()"
    line = [sys.executable, "-c", f"from runners.slurm.task import RunCells; {run}"]
    paths = os.pathsep.join((str(ROOT), str(life.folder)))
    process = subprocess.Popen(line, cwd=ROOT, env={**env, "PYTHONPATH": paths})
    yield process
    process.kill()
    process.wait()


def warn_twice(task: Task) -> str:
    """What `--status` says between the warnings."""

    def warn(attempt: int) -> None:
        task.wait(lambda: task.began() == attempt, f"attempt {attempt} begins")
        task.wait(lambda: task.cell in task.life.study.leases.live(), "it holds its cell")
        task.signal("USR2")

    warn(1)
    between = task.wait_for_requeue()
    task.slurm.start_now(task.id)
    warn(2)
    task.slurm.wait_for_state(task.id, "FAILED", deadline=DEADLINE)
    return between


def test_a_limit_without_time_for_a_checkpoint_is_refused_before_anything_is_written(
    life, tmp_path
):
    more = ("--backend", "slurm", "--set", "slurm.time=1")
    told = {"folder": life.folder, **life.variables}
    refused = made_runs.run_grid(life.file, tmp_path / "results", *more, **told)
    assert refused.returncode == 2 and not (tmp_path / "results").exists()
    (sentence,) = refused.stderr.splitlines()
    assert "slurm.time: 1 is not allowed: must be at least 2" in sentence


def test_a_task_that_is_warned_twice_goes_on_twice(tasks):
    task = tasks[WARNED]
    for attempt in (1, 2):
        task.wait_for_attempt(attempt)
        warned = time.time()
        task.signal("USR2")
        assert task.wait_for_requeue().startswith(f"requeued  job {task.id} goes on")
        assert task.files.checkpoint.stat().st_mtime > warned
        task.slurm.start_now(task.id)
    task.finish(3)


def test_an_operator_may_requeue_a_task(tasks):
    task = tasks[REQUEUED]
    task.wait_for_attempt(1)
    task.slurm.scontrol("requeue", task.id)
    assert task.wait_for_requeue().startswith("requeued")
    task.slurm.start_now(task.id)
    task.finish(2)


def test_a_task_that_is_requeued_and_held_waits_for_its_release(tasks):
    task = tasks[REQUEUEHELD]
    task.wait_for_attempt(1)
    task.slurm.scontrol("requeuehold", task.id)
    said = task.wait_for_requeue()
    assert said.startswith("requeued") and "release it with: scontrol release" in said
    task.slurm.scontrol("release", task.id)
    task.slurm.start_now(task.id)
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
    assert "would submit 1 cells" in life.look(*task.dry_run)


def test_at_its_time_limit_a_task_requeues_itself_and_goes_on(limited):
    assert limited.wait_for_requeue().startswith("requeued")
    began, limit = attempts.notes(limited.element.manifest.folder, limited.element.task)
    assert limit["what"] == "limit" and limit["when"] - began["when"] > 30
    limited.slurm.start_now(limited.id)
    limited.finish(2)


def test_a_task_that_gets_nowhere_in_two_attempts_is_not_tried_a_third_time(stuck, life):
    task, warned = stuck
    assert warned.result().startswith("requeued")
    said = task.status()
    assert said.startswith("failed") and "two attempts in a row came to their time limit" in said
    assert "nothing to submit" in life.look(*task.dry_run)
    assert "would submit 1 cells" in life.look(*task.dry_run, "--retry-failed")


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
    ends = attempts.notes(task.element.manifest.folder, task.element.task)
    assert [end["what"] for end in ends] == ["began", "began", "limit", "began"]


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
    assert "would submit 1 cells" in life.look(*task.dry_run)


def test_a_task_goes_on_when_its_node_is_back(tasks):
    task, slurm = tasks[NODE_FAULTS], tasks[NODE_FAULTS].slurm
    task.start()
    task.wait_for_attempt(1)
    slurm.node_down()
    try:
        assert task.wait_for_requeue().startswith("requeued")
    finally:
        slurm.node_resume()
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
