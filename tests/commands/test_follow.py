"""Waiting for what runs elsewhere, and how much of it is left: plans that a test makes up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from runners.monitor.follow import wait
from runners.monitor.status import describe_status
from runners.results.leases import LeaseInfo
from runners.results.plan import Plan, make_plan
from runners.results.store import CellStatus, State, StudyFolder
from tests.helpers.cells import make_cell

CELLS = [make_cell("gce", seed=seed) for seed in range(3)]
NAMES = [cell.name for cell in CELLS]


@pytest.fixture
def study(tmp_path) -> StudyFolder:
    return StudyFolder(tmp_path, "s")


def look_at(*plans: Plan):
    """Shows one plan after the other."""
    shown: Iterator[Plan] = iter(plans)
    return lambda: (next(shown), "")


def fail(study: StudyFolder, name: str) -> None:
    study.cell(name).path.mkdir(parents=True)
    study.cell(name).failed.write_text(json.dumps({"reason": "no luck", "attempts": 1}))


def test_a_cell_that_ended_before_the_first_look_is_reported(study, capsys):
    fail(study, NAMES[0])
    plan, tried = wait(look_at(make_plan(CELLS, study)), None, study, None, {NAMES[0]})
    assert tried == {NAMES[0]} and plan.states[NAMES[0]] == State.FAILED
    assert f"[1/1] {NAMES[0]}  FAILED: no luck" in capsys.readouterr().out


def test_what_waits_for_a_person_is_said_once(study, capsys):
    stuck = CellStatus(State.QUEUED, "job 7: lower slurm.time", stuck=True)
    before = make_plan(CELLS, study)
    plans = [replace(before, queue=dict.fromkeys(NAMES, stuck))] * 3
    fail(study, NAMES[0])
    wait(look_at(*plans, make_plan(CELLS, study)), lambda answered: None, study, None, ())
    sentence = "3 cells wait for a person, such as: job 7: lower slurm.time\n"
    assert capsys.readouterr().err.count(sentence) == 1
    said = describe_status(plans[0], study, "python run.py")
    assert "next: python run.py --cancel  # ends what waits for a person (3)" in said


def test_a_task_that_waits_for_its_next_start_is_not_counted_as_running(study, capsys):
    fail(study, NAMES[2])
    plan = make_plan(CELLS, study)
    runs, waits = (
        dict.fromkeys(NAMES[:2], CellStatus(state)) for state in (State.RUNNING, State.REQUEUED)
    )
    ended = {NAMES[0]: CellStatus(State.FAILED, "no luck")}
    plans = [replace(plan, queue=queue) for queue in (runs, waits, {**waits, **ended}, ended)]
    wait(look_at(*plans), lambda answered: None, study, None, ())
    assert "1 failed, 0 running, 1 waiting" in capsys.readouterr().out


def test_the_time_left_counts_what_is_queued(study):
    plan = make_plan(CELLS, study)
    seconds = dict.fromkeys(NAMES, 3600.0)
    claimed = {NAMES[0]: LeaseInfo(None, 0.0)}
    queue = {name: CellStatus(State.QUEUED) for name in NAMES[1:]}
    plan = replace(plan, leases=claimed, queue=queue, seconds=seconds)
    said = describe_status(plan, study, "python run.py")
    assert "3 cells: 2 queued, 1 running; about 3.0 h left" in said
