"""What is said of a cell whose task is over, fault by fault: made-up submissions and queues."""

from __future__ import annotations

import pytest

from runners.results.store import State
from runners.slurm import attempts
from tests.helpers.fake_commands import Commands
from tests.helpers.submissions import AGES, CELLS, KILLED, begin, row, seen, sent


@pytest.fixture(autouse=True)
def fake(tmp_path, monkeypatch) -> Commands:
    """No SLURM on the path but what a test makes."""
    return Commands(tmp_path, monkeypatch)


STEP = "slurmstepd: error: *** STEP 12.0 ON n1 CANCELLED AT 2026-01-01T10:00:00"
TRACEBACK = "Traceback (most recent call last):\n  File ...\nModuleNotFoundError: No module 'x'\n"


@pytest.mark.parametrize(
    ("state", "log", "expected", "transient", "words"),
    [
        ("COMPLETED", "", State.LOST, False, "over without a result: SLURM says COMPLETED"),
        ("CANCELLED", f"{STEP} ***\n", State.FAILED, False, "cancelled"),
        ("PREEMPTED", "", State.FAILED, True, "preempted"),
        ("NODE_FAIL", "", State.FAILED, True, "node failed"),
        ("BOOT_FAIL", "", State.FAILED, True, "node did not start"),
        ("TIMEOUT", "", State.FAILED, True, "time limit"),
        ("DEADLINE", "", State.FAILED, False, "deadline"),
        ("OUT_OF_MEMORY", KILLED, State.FAILED, False, "raise slurm.mem"),
        ("FAILED", KILLED, State.FAILED, True, "the task was killed"),
        ("FAILED", f"Step 12.0 exceeded memory limit\n{STEP} ***\n{KILLED}", State.FAILED, False,
         "raise slurm.mem"),
        ("FAILED", f"Detected 1 oom-kill event\n{KILLED}", State.FAILED, False, "raise slurm.mem"),
        ("FAILED", f"{STEP} DUE TO JOB REQUEUE ***\n{KILLED}", State.FAILED, True, "was killed"),
        ("FAILED", TRACEBACK, State.FAILED, False, "ModuleNotFoundError: No module 'x'"),
        ("FAILED", "RuntimeError: Waited for 60 seconds but could not find submitted jobs in",
         State.FAILED, True, "did not see the files of its submission"),
        ("FAILED", "", State.LOST, False, "SLURM says FAILED"),
        (None, f"{STEP} DUE TO TIME LIMIT ***\n", State.FAILED, True, "time limit"),
        (None, f"{STEP} ***\n", State.FAILED, False, "cancelled"),
        (None, "", State.LOST, False, "does not know it any more"),
    ],
)  # fmt: skip
def test_a_task_that_began_and_is_over_without_a_result_tells_why(
    tmp_path, state, log, expected, transient, words
):
    made = sent(tmp_path)
    begin(made, log)
    status = seen(made, [row(made, state)] if state else [])["a"]
    assert (status.state, status.transient) == (expected, transient)
    assert words in status.note and "12_0" in status.note


@pytest.mark.parametrize(
    ("state", "log"), [("TIMEOUT", ""), (None, f"{STEP} DUE TO TIME LIMIT ***\n")]
)
def test_a_time_limit_without_progress_is_not_tried_again_by_itself(tmp_path, state, log):
    made = sent(tmp_path)
    begin(made, log, progress="missing 0")
    status = seen(made, [row(made, state)] if state else [])["a"]
    assert (status.state, status.transient) == (State.FAILED, False)
    assert "raise slurm.time" in status.note


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("slurmstepd: error: execve(): /no/python: No such file or directory\n", "/no/python"),
        ("srun: error: n1: task 0: User defined signal 2\n", "raise slurm.time"),
    ],
)
def test_a_task_that_failed_before_it_came_to_its_cells_says_why(tmp_path, log, words):
    made = sent(tmp_path)
    (made.folder / "12_0_0_log.err").write_text(log)
    status = seen(made, [row(made, "FAILED")])["a"]
    assert (status.state, status.transient) == (State.FAILED, False) and words in status.note


def test_a_task_is_lost_only_when_its_files_had_time_to_be_seen(tmp_path):
    made = sent(tmp_path)
    begin(made)
    young, old = (seen(made, [row(made, "COMPLETED", ended=age)])["a"] for age in AGES)
    assert (young.state, old.state) == (State.RUNNING, State.LOST)
    assert "has just ended" in young.note


def test_a_task_that_was_cancelled_while_it_waited_for_its_next_start_stays_so(tmp_path):
    made = sent(tmp_path)
    begin(made, f"{STEP} DUE TO JOB REQUEUE ***\n")
    attempts.note(made.folder, f"{made.arrays[0].name}-0", what=attempts.CANCELLED)
    status = seen(made, [])["a"]
    assert (status.state, status.transient) == (State.FAILED, False)
    assert status.note == "cancelled (job 12_0)"


def test_a_waiting_element_that_was_cancelled_leaves_no_row_and_is_known_from_the_manifest(
    tmp_path,
):
    made = sent(tmp_path)
    rows = [row(made, "RUNNING"), row(made, "CANCELLED", id="12")]
    found = seen(made, rows)
    assert found["a"].state == State.RUNNING
    assert {(found[cell].state, found[cell].transient) for cell in "bc"} == {(State.FAILED, False)}
    assert found["b"].note == "cancelled (job 12_1)"


def test_an_attempt_that_never_began_and_failed_is_lost_and_not_cancelled(tmp_path):
    made = sent(tmp_path)
    assert seen(made, [row(made, "FAILED")])["a"].state == State.LOST


def test_what_the_queue_has_forgotten_the_accounting_may_know(tmp_path, fake):
    fake.make(
        "sacct", "12_0|NODE_FAIL|1:0|n1|x|y\n12_0|TIMEOUT|0:0|n1|x|y\n12_1|COMPLETED|0:0|n1|x|y\n"
    )
    found = seen(sent(tmp_path), [])
    assert [found[cell].state for cell in CELLS] == [State.FAILED, State.LOST, State.FAILED]
    assert "time limit" in found["a"].note and "COMPLETED" in found["b"].note
    assert found["c"].note.startswith("cancelled")
    (call,) = fake.calls()
    assert "--jobs=12_0,12_1,12_2" in call["arguments"]
