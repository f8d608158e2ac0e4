"""What is said of a cell that is being sent, waits or runs: made-up submissions and queues."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runners.monitor import queue
from runners.results.plan import make_plan
from runners.results.store import CellStatus, State, StudyFolder
from runners.slurm import manifest
from runners.slurm.manifest import Sent
from tests.helpers.cells import make_cell
from tests.helpers.fake_commands import Commands
from tests.helpers.submissions import CELLS, KILLED, begin, row, seen, sent, write_jobs


@pytest.fixture(autouse=True)
def fake(tmp_path, monkeypatch) -> Commands:
    """No SLURM on the path but what a test makes."""
    return Commands(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("state", "reason", "begun", "expected", "words"),
    [
        ("RUNNING", "None", True, State.RUNNING, "job 12_0 runs on n1 since 0 s"),
        ("RUNNING", "JobHeldAdmin", True, State.RUNNING, "job 12_0 runs on n1"),
        ("COMPLETING", "None", True, State.RUNNING, "n1"),
        ("CONFIGURING", "None", False, State.RUNNING, "n1"),
        ("SUSPENDED", "None", True, State.SUSPENDED, "stands still"),
        ("PENDING", "Priority", False, State.QUEUED, "job 12_0: waits (Priority)"),
        ("PENDING", "JobArrayTaskLimit", False, State.QUEUED, "waits (JobArrayTaskLimit)"),
        ("PENDING", "BeginTime", True, State.REQUEUED, "resumes from its checkpoints"),
        ("PENDING", "PartitionTimeLimit", False, State.QUEUED, "lower slurm.time"),
        ("PENDING", "JobHeldUser", False, State.QUEUED, "scontrol release"),
        ("PENDING", "JobHeldAdmin", False, State.QUEUED, "held by an operator"),
        ("PENDING", "job requeued in held state", True, State.REQUEUED, "scontrol release"),
        ("PENDING", "launch failed requeued held", True, State.REQUEUED, "scontrol release"),
        ("PENDING", "(Nodes required for job are DOWN, DRAINED or reserved)", False,
         State.QUEUED, "waits (Nodes required"),
    ],
)  # fmt: skip
def test_a_task_in_the_queue_is_queued_running_or_requeued(
    tmp_path, state, reason, begun, expected, words
):
    made = sent(tmp_path)
    if begun:
        begin(made)
    status = seen(made, [row(made, state, reason)])["a"]
    assert (status.state, status.transient) == (expected, False)
    assert words in status.note


def test_without_an_answer_nothing_is_decided(tmp_path, fake):
    fake.make("sacct", "12_0|FAILED|1:0|n1|x|y\n")
    for state in (Sent.SUBMITTED, Sent.SENDING):
        made = sent(tmp_path, state, "old")
        begin(made, KILLED)
        assert {status.state for status in seen(made, None).values()} == {State.QUEUED}
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
        (Sent.SENDING, "old", False, ["PENDING"] * 3, "waits (None)"),
        (Sent.SENDING, "old", False, ["FAILED"], None),
        (Sent.NEVER, "young", False, [], None),
        (Sent.REFUSED, "young", False, [], None),
    ],
)
def test_a_submission_that_is_under_way_or_was_cut_off(tmp_path, state, age, sending, rows, words):
    made = sent(tmp_path, state, age)
    queue = [row(made, each, id=f"12_{number}") for number, each in enumerate(rows)]
    found = seen(made, queue, sending)
    assert {(status.state, words in status.note) for status in found.values()} == (
        {(State.QUEUED, True)} if words else set()
    )


def test_what_a_killed_submitter_has_sent_is_shown_as_it_is(tmp_path):
    made = sent(tmp_path, Sent.SENDING, "old")
    states = ("RUNNING", "PENDING", "FAILED")
    found = seen(made, [row(made, each, id=f"12_{k}") for k, each in enumerate(states)])
    assert [found[cell].state for cell in CELLS] == [State.RUNNING, State.QUEUED, State.LOST]
    assert all("its submitter was killed" in status.note for status in found.values())


def test_own_files_win_over_the_queue(tmp_path):
    made, done = sent(tmp_path), CellStatus(State.DONE)
    failed = CellStatus(State.FAILED, "no luck", attempts=1)
    found = seen(made, [row(made, "FAILED")], a=done, b=failed)
    assert set(found) == {"c"}


def test_a_failed_cell_that_was_sent_again_is_queued_until_its_files_change(tmp_path):
    made = sent(tmp_path)
    write_jobs(made, {"a": (State.FAILED, 1)})
    rows = [row(made, "PENDING", "Priority")]
    once, twice = (
        CellStatus(State.FAILED, "x", attempts=1),
        CellStatus(State.FAILED, "x", attempts=2),
    )
    assert seen(made, rows, a=once)["a"].state == State.QUEUED
    assert "a" not in seen(made, rows, a=twice)


def test_a_cell_that_its_task_will_try_again_has_not_failed(tmp_path):
    made = sent(tmp_path)
    begin(made)
    killed = CellStatus(State.FAILED, "killed", attempts=1, transient=True)
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
    plan, silence = queue.plan_with_queue([cell], study)
    assert (plan.states[cell.name], plan.shown(cell.name).note) == (State.FAILED, "no luck")
    assert silence == "" and plan.queue == {}
    assert make_plan([cell], study).states == plan.states


def test_a_manifest_that_cannot_be_read_is_named(tmp_path, fake):
    study = StudyFolder(tmp_path, "s")
    made = manifest.plan(study.path, [[["a"]]])
    path = made.folder / "manifest.json"
    path.write_text("{")
    plan, silence = queue.plan_with_queue([make_cell("gce")], study)
    (warning,) = plan.warnings
    assert str(path) in warning and "cannot be read" in warning and silence == ""
