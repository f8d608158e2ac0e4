"""What is said of a submitted cell, fault by fault: made-up submissions and queues."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runners.plan import make_plan
from runners.slurm import attempts, control, manifest
from runners.slurm.client import Row
from runners.slurm.elements import Queue
from runners.slurm.manifest import Manifest, Sent
from runners.slurm.truth import in_the_queue
from runners.store import Sight, State, StudyFolder
from tests.made_cells import make_cell
from tests.made_commands import Commands

CELLS = ("a", "b", "c")
AGES = {"young": timedelta(0), "old": timedelta(minutes=2)}


@pytest.fixture(autouse=True)
def fake(tmp_path, monkeypatch) -> Commands:
    """No SLURM on the path but what a test makes."""
    return Commands(tmp_path, monkeypatch)


def sent(folder: Path, state: Sent = Sent.SUBMITTED, age: str = "young") -> Manifest:
    """A submission of three cells, each an element of array 12."""
    made = manifest.plan(folder / "s", [[[cell] for cell in CELLS]])
    (made.folder / "marks.json").write_text(json.dumps({key: ["missing", 0, 1] for key in CELLS}))
    made = made.noting(made.arrays[0].name, state, id="12" if state == Sent.SUBMITTED else None)
    noted = datetime.now(UTC) - AGES[age]
    return replace(made, arrays=tuple(replace(array, noted=noted) for array in made.arrays))


def begin(made: Manifest, log: str = "", progress: str = "none") -> None:
    """The task of the first element has begun, and its standard error holds this.

    Its cell had come so far then: files that say nothing are "missing 0".
    """
    task = f"{made.arrays[0].name}-0"
    attempts.note(made.folder, task, what="began", progress={CELLS[0]: progress})
    (made.folder / "12_0_0_log.err").write_text(log)


def row(
    made: Manifest, state: str, reason: str = "None", id: str = "12_0", ended: str = "old"
) -> Row:
    now = datetime.now()
    return Row(id, state, reason, now, now - AGES[ended], "n1", made.arrays[0].name)


def seen(
    made: Manifest, rows: Sequence[Row] | None, sending: bool = False, **sights: Sight
) -> dict[str, Sight]:
    """What is said of the cells, of which nothing else is known unless `sights` says so."""
    known = {cell: sights.get(cell, Sight(State.MISSING)) for cell in CELLS}
    return in_the_queue([made], Queue(rows), known, sending)


STEP = "slurmstepd: error: *** STEP 12.0 ON n1 CANCELLED AT 2026-01-01T10:00:00"
KILLED = "srun: error: n1: task 0: Killed\n"
TRACEBACK = "Traceback (most recent call last):\n  File ...\nModuleNotFoundError: No module 'x'\n"


@pytest.mark.parametrize(
    ("state", "reason", "begun", "expected", "words"),
    [
        ("RUNNING", "None", True, State.RUNNING, "job 12_0 runs on n1 since 0 s"),
        ("RUNNING", "JobHeldAdmin", True, State.RUNNING, "job 12_0 runs on n1"),
        ("COMPLETING", "None", True, State.RUNNING, "n1"),
        ("CONFIGURING", "None", False, State.RUNNING, "n1"),
        ("SUSPENDED", "None", True, State.SUSPENDED, "stands still"),
        ("PENDING", "Priority", False, State.QUEUED, "job 12_0: other jobs come first"),
        ("PENDING", "JobArrayTaskLimit", False, State.QUEUED, "slurm.max_running"),
        ("PENDING", "BeginTime", True, State.REQUEUED, "goes on from its checkpoints"),
        ("PENDING", "PartitionTimeLimit", False, State.QUEUED, "lower slurm.time"),
        ("PENDING", "JobHeldUser", False, State.QUEUED, "scontrol release"),
        ("PENDING", "JobHeldAdmin", False, State.QUEUED, "held by an operator"),
        ("PENDING", "job requeued in held state", True, State.REQUEUED, "scontrol release"),
        ("PENDING", "launch failed requeued held", True, State.REQUEUED, "scontrol release"),
        ("PENDING", "(Nodes required for job are DOWN, DRAINED or reserved)", False,
         State.QUEUED, "nodes are down"),
    ],
)  # fmt: skip
def test_a_task_in_the_queue_is_queued_running_or_requeued(
    tmp_path, state, reason, begun, expected, words
):
    made = sent(tmp_path)
    if begun:
        begin(made)
    sight = seen(made, [row(made, state, reason)])["a"]
    assert (sight.state, sight.transient) == (expected, False)
    assert words in sight.note


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
    sight = seen(made, [row(made, state)] if state else [])["a"]
    assert (sight.state, sight.transient) == (expected, transient)
    assert words in sight.note and "12_0" in sight.note


@pytest.mark.parametrize(
    ("state", "log"), [("TIMEOUT", ""), (None, f"{STEP} DUE TO TIME LIMIT ***\n")]
)
def test_a_time_limit_without_progress_is_not_tried_again_by_itself(tmp_path, state, log):
    made = sent(tmp_path)
    begin(made, log, progress="missing 0")
    sight = seen(made, [row(made, state)] if state else [])["a"]
    assert (sight.state, sight.transient) == (State.FAILED, False)
    assert "raise slurm.time" in sight.note


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
    sight = seen(made, [row(made, "FAILED")])["a"]
    assert (sight.state, sight.transient) == (State.FAILED, False) and words in sight.note


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
    sight = seen(made, [])["a"]
    assert (sight.state, sight.transient) == (State.FAILED, False)
    assert sight.note == "cancelled (job 12_0)"


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


def test_without_an_answer_nothing_is_decided(tmp_path, fake):
    fake.make("sacct", "12_0|FAILED|1:0|n1|x|y\n")
    for state in (Sent.SUBMITTED, Sent.SENDING):
        made = sent(tmp_path, state, "old")
        begin(made, KILLED)
        assert {sight.state for sight in seen(made, None).values()} == {State.QUEUED}
    assert fake.calls() == []


@pytest.mark.parametrize(
    ("state", "age", "sending", "rows", "words"),
    [
        (Sent.PLANNED, "young", True, [], "is being submitted"),
        (Sent.PLANNED, "old", True, [], "is being submitted"),
        (Sent.PLANNED, "young", False, [], None),
        (Sent.SENDING, "old", True, [], "is being submitted"),
        (Sent.SENDING, "young", False, [], "its submitter was killed and may have sent it"),
        (Sent.SENDING, "old", False, [], None),
        (Sent.SENDING, "old", False, ["PENDING"] * 3, "SLURM has not looked at it yet"),
        (Sent.SENDING, "old", False, ["FAILED"], None),
        (Sent.NEVER, "young", False, [], None),
        (Sent.REFUSED, "young", False, [], None),
    ],
)
def test_a_submission_that_is_under_way_or_was_cut_off(tmp_path, state, age, sending, rows, words):
    made = sent(tmp_path, state, age)
    queue = [row(made, each, id=f"12_{number}") for number, each in enumerate(rows)]
    found = seen(made, queue, sending)
    assert {(sight.state, words in sight.note) for sight in found.values()} == (
        {(State.QUEUED, True)} if words else set()
    )


def test_what_a_killed_submitter_has_sent_is_shown_as_it_is(tmp_path):
    made = sent(tmp_path, Sent.SENDING, "old")
    states = ("RUNNING", "PENDING", "FAILED")
    found = seen(made, [row(made, each, id=f"12_{k}") for k, each in enumerate(states)])
    assert [found[cell].state for cell in CELLS] == [State.RUNNING, State.QUEUED, State.LOST]
    assert all("its submitter was killed" in sight.note for sight in found.values())


def test_own_files_win_over_the_queue(tmp_path):
    made, done = sent(tmp_path), Sight(State.DONE)
    failed = Sight(State.FAILED, "no luck", attempts=1)
    found = seen(made, [row(made, "FAILED")], a=done, b=failed)
    assert set(found) == {"c"}


def test_a_failed_cell_that_was_sent_again_is_queued_until_its_files_change(tmp_path):
    made = sent(tmp_path)
    (made.folder / "marks.json").write_text(json.dumps({"a": ["failed", 1, 1]}))
    rows = [row(made, "PENDING", "Priority")]
    once, twice = Sight(State.FAILED, "x", attempts=1), Sight(State.FAILED, "x", attempts=2)
    assert seen(made, rows, a=once)["a"].state == State.QUEUED
    assert "a" not in seen(made, rows, a=twice)


def test_a_cell_that_its_task_will_try_again_has_not_failed(tmp_path):
    made = sent(tmp_path)
    begin(made)
    killed = Sight(State.FAILED, "killed", attempts=1, transient=True)
    waiting, over = [row(made, "PENDING", "BeginTime")], [row(made, "FAILED")]
    assert seen(made, waiting, a=killed)["a"].state == State.REQUEUED
    assert "a" not in seen(made, over, a=killed)
    assert "a" not in seen(made, waiting, a=replace(killed, attempts=2))  # one retry is allowed
    assert "a" not in seen(made, waiting, a=replace(killed, transient=False))


def test_the_queue_is_asked_before_the_files_are_read(tmp_path, fake):
    """A cell that ends while the queue is asked is shown as what its files say."""
    cell = make_cell("gce")
    study = StudyFolder(tmp_path, "s")
    made = manifest.plan(study.path, [[[cell.name]]])
    made.noting(made.arrays[0].name, Sent.SUBMITTED, id="7")
    failed = study.cell(cell.name).failed
    failed.parent.mkdir(parents=True)
    text = json.dumps({"reason": "no luck", "attempts": 1})
    fake.make("squeue", more=f"open({str(failed)!r}, 'w').write({text!r})")
    plan, silence = control.plan_with_queue([cell], study)
    assert (plan.states[cell.name], plan.shown(cell.name).note) == (State.FAILED, "no luck")
    assert silence == "" and plan.queue == {}
    assert make_plan([cell], study).states == plan.states


def test_a_manifest_that_cannot_be_read_is_named(tmp_path, fake):
    study = StudyFolder(tmp_path, "s")
    made = manifest.plan(study.path, [[["a"]]])
    path = made.folder / "manifest.json"
    path.write_text("{")
    plan, silence = control.plan_with_queue([make_cell("gce")], study)
    (warning,) = plan.warnings
    assert str(path) in warning and "cannot be read" in warning and silence == ""
