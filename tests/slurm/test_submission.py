"""Submitting: killed anywhere, refused, pending for ever, without a controller, in many arrays."""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections import Counter
from pathlib import Path

import pytest

from runners.slurm import client
from runners.slurm.commands import ControllerDown
from runners.slurm.manifest import read_all
from runners.slurm.messages import is_final
from tests.helpers.cli import command, environment, run_grid
from tests.slurm.cluster import running
from tests.slurm.configuration import Settings
from tests.slurm.processes import poll
from tests.slurm.studies import LATER, assert_equal
from tests.slurm.submitters import Sent, study_of

pytestmark = pytest.mark.slurm

MOMENTS = ("before sbatch", "before the pickles", "between the pickles", "before the note",
           "after the first note")  # fmt: skip
RUN_TO_THE_END = MOMENTS[1:3]
"""Where tasks may have begun before the submitter is missed."""
CELLS = 3


@pytest.fixture(scope="module")
def narrow(slurm):
    """A cluster whose arrays have two elements at most: three cells are two arrays."""
    with running(Settings(max_array=3)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """Results of a local run of three cells."""
    sent = study_of(None, tmp_path_factory.mktemp("undisturbed"), CELLS)
    run = run_grid(sent.study, sent.results, "--workers", "0", folder=sent.folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return sent.results


@pytest.fixture(scope="module", autouse=True)
def overdue(slurm, tmp_path_factory) -> Sent:
    """A task in which nothing listens to the warning before its limit of two minutes."""
    sent = study_of(slurm, tmp_path_factory.mktemp("overdue"), 1)
    deaf = sent.folder / "deaf"
    deaf.write_text("#!/bin/sh\ntrap '' USR2\nexec sleep 600\n")
    deaf.chmod(0o755)
    sent.type("--set", "slurm.time=2", "--set", f"slurm.python={deaf}")
    return sent


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_submitter_killed_at_any_moment_is_recovered_by_the_same_command(
    narrow, undisturbed, tmp_path, moment
):
    sent = study_of(narrow, tmp_path, CELLS)
    how = () if moment in RUN_TO_THE_END else LATER
    sent.type(*how, code=-signal.SIGKILL, KILL_AT=moment)
    if moment == "between the pickles":
        begun = lambda: list(sent.results.glob("s/slurm/*/attempts/*"))  # noqa: E731
        narrow.wait_for(begun, 60, "the task that has its pickle begins")
    out, _ = sent.type(*how, *(("--wait",) if how == () else ()))
    if how == ():
        assert f"{CELLS} of {CELLS} cells done" in out
        assert_equal(undisturbed, sent.results, CELLS)
        # The last task has a second to live after the record of its cell.
        narrow.wait_for(lambda: not sent.rows(), 30, "all tasks end")
        return
    # Every cell waits in exactly one task, all tasks in the queue are known, and it stays so.
    names = [row.name for row in sent.rows()]
    assert len(sent.queued_cells()) == len(set(sent.queued_cells())) == len(names) == CELLS
    arrays = [array for made in read_all(sent.results / "s").readable for array in made.arrays]
    assert not {array.state for array in arrays} & {"planned", "sending"}
    assert sent.states(*how) == {"queued": CELLS}
    out, _ = sent.type(*how)
    assert "nothing to submit" in out and [row.name for row in sent.rows()] == names
    sent.type("--cancel")
    assert sent.rows() == []


@pytest.mark.parametrize(
    ("setting", "key", "words"),
    [
        ("slurm.partition=mian", "slurm.partition", "Invalid partition name"),
        ("slurm.constraint=fast", "slurm.constraint", "Invalid feature"),
        ("slurm.mem=999G", "slurm.mem", "Requested node configuration is not available"),
        ("slurm.gpus_per_node=3", "slurm.gpus_per_node", "Requested node configuration"),
        ("slurm.cpus_per_task=9", "slurm.cpus_per_task", "Requested node configuration"),
        ("slurm.additional={bigin: now}", "slurm.additional", "unrecognized option"),
    ],
)
def test_what_the_cluster_lacks_is_a_sentence_about_our_key_and_nothing_is_written(
    slurm, tmp_path, setting, key, words
):
    assert_refused(study_of(slurm, tmp_path, 2), setting, key, words)


@pytest.mark.parametrize(
    ("setting", "key", "words"),
    [
        ("slurm.account=nobody", "slurm.account", "Invalid account"),
        ("slurm.qos=gold", "slurm.qos", "Invalid qos"),
    ],
)
def test_accounts_and_qualities_are_refused_the_same_way(
    accounted_slurm, tmp_path, setting, key, words
):
    assert_refused(study_of(accounted_slurm, tmp_path, 3), setting, key, words)


def test_as_many_tasks_are_in_the_queue_as_the_user_may_have_and_waiting_sends_the_rest(
    accounted_slurm, tmp_path
):
    sent, few = study_of(accounted_slurm, tmp_path, 3), ("--set", "slurm.qos=few")
    out, err = sent.type(*LATER, *few, code=1)
    assert "submitted 2 cells in 2 tasks" in out and "1 cell is not sent" in err
    assert len(sent.queued_cells()) == 2 and sent.states()["missing"] == 1
    _, err = sent.type(*LATER, *few, code=2)
    assert "slurm.cells_per_task or slurm.qos: SLURM refuses: " in err
    assert "QOSMaxSubmitJobPerUserLimit" in err and len(list(sent.results.glob("s/slurm/*"))) == 1
    sent.type("--cancel")
    out, err = sent.type(*few, "--retry-failed", "--wait")
    assert "they follow" in err and "submitted 1 cell" in out and "3 of 3 cells done" in out


def assert_refused(sent: Sent, setting: str, key: str, words: str) -> None:
    before = alive(sent)
    out, err = sent.type("--set", setting, code=2)
    (line,) = err.splitlines()
    assert key in line.partition(": SLURM refuses: ")[0] and words in line
    assert not list(sent.results.glob("s/slurm"))
    assert "submitted" not in out and alive(sent) <= before


def alive(sent: Sent) -> set[str]:
    """All jobs that are not over; SLURM notes what it refuses as failed jobs."""
    return {row.id for row in sent.cluster.squeue() if not is_final(row.state)}


def test_what_can_never_start_is_said_at_once_shown_and_cancelled(slurm, tmp_path):
    settings = ["slurm.partition=short", "slurm.time=60"]
    assert_stuck(study_of(slurm, tmp_path, 2), settings, "lower slurm.time")


def test_too_long_a_time_for_the_quality_of_service_is_said_at_once(accounted_slurm, tmp_path):
    settings = ["slurm.qos=brief", "slurm.time=60"]
    assert_stuck(study_of(accounted_slurm, tmp_path, 2), settings, "change slurm.qos")


def assert_stuck(sent: Sent, settings: list[str], words: str) -> None:
    _, err = sent.type(*(word for each in settings for word in ("--set", each)), code=1)
    line = err.splitlines()[-1]
    assert "can never start" in line and words in line
    assert line.endswith("--cancel")
    out, _ = sent.type("--status")
    assert out.count(words) == 2 and "2 cells: 2 queued" in out
    sent.type("--cancel")
    assert sent.rows() == [] and sent.states() == {"failed": 2}


def test_a_controller_that_is_away_costs_nothing(slurm, tmp_path, monkeypatch):
    """One outage: submitting, looking, cancelling, waiting and watching."""
    running_study, new = study_of(slurm, tmp_path / "a", 2), study_of(slurm, tmp_path / "b", 1)
    go = tmp_path / "go"
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.env[name])
    waiting = running_study.start("--wait", HOLD=str(go))
    slurm.wait_for(lambda: len(list(running_study.results.glob("s/leases/*__*"))) == 2, 60, "runs")
    watching = running_study.start("--watch")
    slurm.stop_controller()
    try:
        runs = [new.start(), running_study.start("--cancel"), running_study.start("--status")]
        with pytest.raises(ControllerDown, match="Unable to contact"):
            client.squeue()
        assert client.sacct(["1"]) == {}
        (_, sending), (_, cancelling) = (run.ends(1) for run in runs[:2])
        status, _ = runs[2].ends()
        for seen in (waiting.err, watching.out):
            poll(lambda seen=seen: "does not answer" in seen.read_text(), 60, "the outage is seen")
        assert "does not answer" in sending and "resume later with: python" in sending
        assert "does not answer" in cancelling and "nothing is known to be cancelled" in cancelling
        assert "what is in the queue is not known now" in status
        assert not re.search(r"lost|failed|missing", status)
        assert not new.results.exists()
    finally:
        slurm.start_controller()
        go.touch()
    assert "2 of 2 cells done" in waiting.ends()[0]
    assert watching.ends()[0].splitlines()[-1] == "2 cells: 2 done"
    new.type(*LATER)
    assert new.states() == {"queued": 1}
    new.type("--cancel")


def test_a_job_may_submit_and_its_own_request_is_not_inherited(slurm, tmp_path):
    sent = study_of(slurm, tmp_path, 1)
    line = command(sent.study, sent.results, "--backend", "slurm", "--wait")
    env = environment(tmp_path, **sent.variables)
    exports = [f"export {key}={shlex.quote(text)}" for key, text in env.items()]
    script = "\n".join([*exports, shlex.join(map(str, [*line, "--set", "slurm.poll_seconds=1"]))])
    said = f"--output={tmp_path / 'said'}"
    job = slurm.submit(script, "--array=0-0", "--mem=500", "--cpus-per-task=1", said)
    ended = slurm.wait_for_state(f"{job}_0", "COMPLETED", "FAILED", deadline=90)
    printed = (tmp_path / "said").read_text()
    assert ended == "COMPLETED" and "1 of 1 cell done" in printed, printed


def test_cells_go_in_arrays_of_the_size_that_the_cluster_takes(slurm, tmp_path):
    sent, most = study_of(slurm, tmp_path, 130), slurm.settings.max_array - 1
    out, _ = sent.type(*LATER, "--set", "slurm.max_running=20")
    sizes = Counter(row.name for row in sent.rows())
    assert len(sizes) == -(-130 // most) == 9 and max(sizes.values()) <= most
    assert sorted(sent.queued_cells()) == sorted(set(sent.queued_cells()))
    assert len(sent.queued_cells()) == 130 and "130 tasks of 9 arrays" in out
    first = sent.rows()[0].id.partition("_")[0]
    assert slurm.details(first)["ArrayTaskThrottle"] == "2"  # 20 among 9 arrays
    assert sent.states(*LATER) == {"queued": 130}
    sent.type("--cancel")
    assert sent.rows() == []


def test_cells_share_tasks_and_one_task_is_a_plain_job(slurm, tmp_path):
    sent = study_of(slurm, tmp_path, 9)
    sent.type(*LATER, "--set", "slurm.cells_per_task=4", "--only", "seed=0,1,2,3,4,5,6,7")
    assert len(sent.rows()) == 2 and len(sent.queued_cells()) == 8
    sent.type(*LATER)
    assert [row.id for row in sent.rows() if "_" not in row.id] != []
    assert len(sent.queued_cells()) == len(set(sent.queued_cells())) == 9
    (orders,) = [path for path in sent.results.glob("s/slurm/*/orders.json")
                 if len(json.loads(path.read_text())["jobs"]) == 1]  # fmt: skip
    assert list(orders.parent.glob("*_submitted.pkl")) != []
    sent.type("--cancel")


def test_a_task_that_overran_its_limit_without_getting_on_is_not_sent_again(overdue):
    overdue.cluster.wait_for(lambda: not overdue.rows(), 200, "the limit comes")
    out, _ = overdue.type("--status")
    assert "failed    the time limit came before it got on: raise slurm.time" in out
    assert "nothing to submit" in overdue.type()[0]
