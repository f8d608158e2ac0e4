"""The commands of SLURM are asked rightly, and what they print is understood."""

from __future__ import annotations

from datetime import datetime
from itertools import chain

import pytest

from runners.slurm import client, commands, messages
from runners.slurm.commands import CommandMissing, ControllerDown, Refused, SlurmError
from tests.helpers.fake_commands import Commands

DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"
QUEUE = """\
12_0|RUNNING|None|2026-11-25T02:31:08|2026-11-25T06:31:08|n1|study-0a1b2c3d-0
12_3|PENDING|(Nodes required for job are DOWN, DRAINED or reserved)|N/A|N/A||study-0a1b2c3d-0
13|CANCELLED|None|2026-11-25T02:31:08|2026-11-25T03:00:00|n[1-2]|a|b
and the second line of that name
"""


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Commands:
    return Commands(tmp_path, monkeypatch)


def test_one_call_of_squeue_gives_all_jobs_in_any_state(fake):
    fake.make("squeue", QUEUE)
    rows = client.squeue()
    assert [(row.id, row.state, row.node, row.name) for row in rows] == [
        ("12_0", "RUNNING", "n1", "study-0a1b2c3d-0"),
        ("12_3", "PENDING", "", "study-0a1b2c3d-0"),
        ("13", "CANCELLED", "n[1-2]", "a|b"),
    ]
    assert [row.start for row in rows] == [datetime(2026, 11, 25, 2, 31, 8), None, rows[0].start]
    assert [row.end for row in rows][1:] == [None, datetime(2026, 11, 25, 3)]
    assert [row.final for row in rows] == [False, False, True]
    (call,) = fake.calls()
    assert "--states=all" in call["arguments"] and "--array" in call["arguments"]


def test_an_empty_queue_is_no_job_and_no_error(fake):
    fake.make("squeue")
    assert client.squeue() == []


def test_variables_that_would_hide_jobs_or_describe_one_do_not_reach_the_commands(
    fake, monkeypatch
):
    changing = {"SQUEUE_PARTITION", "SLURM_TIME_FORMAT", "SCANCEL_INTERACTIVE"}
    changing |= {"SLURM_ARRAY_JOB_ID", "SLURM_MEM_PER_NODE"}  # this process is part of a job
    for name in (*changing, "SLURM_CONF", "SLURM_JWT"):
        monkeypatch.setenv(name, "x")
    fake.make("squeue")
    client.squeue()
    (call,) = fake.calls()
    assert {"SLURM_CONF", "SLURM_JWT"} <= set(call["variables"])
    assert not changing & set(call["variables"])


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("squeue", client.squeue),
        ("scontrol", client.max_array_size),
        ("scancel", lambda: client.scancel(["1"])),
        ("sbatch", lambda: client.test_only("#!/bin/sh")),
    ],
    ids=["squeue", "scontrol", "scancel", "sbatch"],
)
def test_without_a_controller_or_a_command_nothing_is_known(fake, monkeypatch, name, ask):
    with pytest.raises(CommandMissing, match=f"{name} is not on the path"):
        ask()
    fake.make(name, err=DOWN, code=1)
    with pytest.raises(ControllerDown, match=r"does not answer .*Unable to contact"):
        ask()
    fake.make(name, more="import time; time.sleep(30)")
    monkeypatch.setattr(commands, "TIMEOUT", 0.3)
    with pytest.raises(ControllerDown, match=r"no answer after 0.3 s"):
        ask()


def test_scancel_names_what_slurm_does_not_know(fake):
    fake.make("scancel", err="scancel: error: Kill job error on job id 7: Invalid job id\n", code=1)
    assert client.scancel(["12_3", "7"]) == [
        "scancel: error: Kill job error on job id 7: Invalid job id"
    ]
    assert fake.calls()[0]["arguments"] == ["12_3", "7"]


def test_thousands_of_ids_are_cancelled_in_few_calls_and_none_in_no_call(fake):
    fake.make("scancel")
    assert client.scancel([]) == [] and fake.calls() == []
    assert client.scancel(f"1_{k}" for k in range(2500)) == []
    given = [call["arguments"] for call in fake.calls()]
    assert len(given) == 3 and [*chain(*given)] == [f"1_{k}" for k in range(2500)]


def test_the_array_limit_is_read_from_the_configuration(fake):
    fake.make("scontrol", "KillWait                = 30 sec\nMaxArraySize            = 1001\n")
    assert client.max_array_size() == 1001
    assert client.config()["KillWait"] == "30 sec"
    fake.make("scontrol", "Configuration data as of today\n")
    with pytest.raises(SlurmError, match="MaxArraySize"):
        client.max_array_size()


def test_a_refusal_keeps_the_words_of_sbatch_and_names_the_key(fake):
    said = "sbatch: error: invalid partition specified: mian\nallocation failure: no\n"
    fake.make("sbatch", err=said, code=1)
    with pytest.raises(Refused) as caught:
        client.test_only("#!/bin/sh\n")
    assert "invalid partition specified: mian" in str(caught.value)
    assert caught.value.key == "slurm.partition"
    (call,) = fake.calls()
    assert call["arguments"] == ["--test-only"] and call["input"] == "#!/bin/sh\n"


def test_a_script_that_would_be_taken_is_no_error(fake):
    fake.make("sbatch", err="sbatch: Job 3 to start at 2026-11-25T02:31:08\n")
    client.test_only("#!/bin/sh\n")


def test_sacct_gives_all_attempts_and_its_absence_is_no_error(fake):
    assert client.sacct(["1"]) == {}
    fake.make("sacct", err="Slurm accounting storage is disabled\n", code=1)
    assert client.sacct(["1"]) == {}
    lines = ["12_0|REQUEUED|0:0|n1|a|b", "12_0|CANCELLED by 0|0:15|n1|b|c", "13|FAILED|3:0|n1|a|b"]
    fake.make("sacct", "\n".join(lines))
    found = client.sacct(["12_0", "13"])
    assert [attempt.state for attempt in found["12_0"]] == ["REQUEUED", "CANCELLED by 0"]
    assert found["13"][0].exit_code == "3:0"


@pytest.mark.parametrize(
    ("state", "final"),
    [("PENDING", False), ("RUNNING", False), ("SUSPENDED", False), ("COMPLETING", False),
     ("STOPPED", False), ("REQUEUED", False), ("CONFIGURING", False), ("SPECIAL_EXIT", False),
     ("SOMETHING_NEW", False), ("COMPLETED", True), ("CANCELLED by 1000", True), ("TIMEOUT", True),
     ("NODE_FAIL", True), ("PREEMPTED", True), ("OUT_OF_MEMORY", True), ("FAILED", True)],
)  # fmt: skip
def test_only_states_that_are_surely_over_are_final(state, final):
    assert messages.is_final(state) is final


TEMPORARY = [
    *("None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit", "Dependency"),
    *("ReqNodeNotAvail", "ReqNodeNotAvail, UnavailableNodes:n1", "QOSMaxJobsPerUserLimit"),
    *("AssocGrpCpuLimit", "AssocGrpGRES", "QOSMaxGRESPerUser", "QOSGrpNodeLimit"),
    "Weather",  # one that nobody knows
    "(Nodes required for job are DOWN, DRAINED or reserved for jobs in higher partitions)",
]
STUCK = [
    *("PartitionTimeLimit", "PartitionConfig", "PartitionNodeLimit", "BadConstraints"),
    *("InvalidAccount", "InvalidQOS", "DependencyNeverSatisfied", "JobHeldUser", "JobHeldAdmin"),
    *("QOSMaxCpuPerJobLimit", "QOSMaxWallDurationPerJobLimit", "QOSMaxGRESPerJob"),
    *("AssocMaxWallDurationPerJobLimit", "AssocMaxCpuPerJobLimit"),
    *("job requeued in held state", "(launch failed requeued held)"),
]


@pytest.mark.parametrize("code", TEMPORARY)
def test_other_reasons_need_no_action(code):
    assert messages.stuck(code) is None


@pytest.mark.parametrize("code", STUCK)
def test_reasons_that_need_a_person_say_what_to_change(code):
    sentence = messages.stuck(code)
    assert any(word in sentence for word in ("slurm.", "scontrol release", "cancel it"))


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Invalid account or account/partition combination specified", "slurm.account"),
        ("Invalid qos specification", "slurm.qos"),
        ("Invalid feature specification", "slurm.constraint"),
        ("Invalid generic resource (gres) specification", "slurm.gres"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "slurm.time"),
        ("sbatch: unrecognized option '--bigin=now'", "slurm.additional"),
        ("error: QOSMaxSubmitJobPerUserLimit error: Job violates accounting/QOS policy (job "
         "submit limit, user's size and/or time limits)", "slurm.cells_per_task or slurm.qos"),
        ("You have no project", None),
    ],
)  # fmt: skip
def test_a_refusal_is_traced_to_a_key_where_its_words_tell(said, key):
    assert messages.culprit(said) == key
