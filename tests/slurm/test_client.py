"""The client against real daemons: what it believes of their commands is so."""

from __future__ import annotations

import pytest

from runners.slurm import client, messages
from runners.slurm.commands import Refused
from runners.study import slurm_times
from tests.slurm.configuration import NODE

pytestmark = pytest.mark.slurm


@pytest.fixture
def here(slurm, monkeypatch):
    """The cluster, with its commands and its configuration in this process's environment."""
    use(slurm, monkeypatch)
    yield slurm
    slurm.run("scancel", "--user=root")


def use(cluster, monkeypatch) -> None:
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.env[name])


def row(job: str) -> client.Row | None:
    return next((found for found in client.squeue() if found.id == job), None)


def test_rows_of_elements_tell_state_node_and_name(here):
    job = here.submit("srun sleep 300", "--array=0-2%1", "--job-name=study-0a1b2c3d-0")
    here.wait_for_state(f"{job}_0", "RUNNING")
    here.wait_for(lambda: row(f"{job}_2").reason == "JobArrayTaskLimit", 30, "the others wait")
    first = row(f"{job}_0")
    assert (first.node, first.name, first.final) == (NODE, "study-0a1b2c3d-0", False)
    assert first.start is not None
    assert client.scancel([job]) == []
    here.wait_for(lambda: row(f"{job}_0").final, 30, "it is cancelled")


def test_cancelled_waiting_elements_have_no_rows_and_forgotten_ids_do_no_harm(here):
    job = here.submit("srun sleep 300", "--array=0-2%1")
    here.wait_for_state(f"{job}_0", "RUNNING")
    assert client.scancel([f"{job}_2"]) == []
    assert row(f"{job}_2") is None
    client.scancel(["987654", f"{job}_1"])
    assert row(f"{job}_1") is None and row(f"{job}_0").state == "RUNNING"
    assert row(job).state == "CANCELLED"  # one row for all that waited


def test_the_array_limit_and_the_patience_of_kills_are_those_of_the_cluster(here):
    assert client.max_array_size() == here.settings.max_array
    assert client.config()["KillWait"] == f"{here.settings.kill_wait} sec"


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("partition=mian", "slurm.partition"),
        ("constraint=none", "slurm.constraint"),
        ("gres=gpu:9", "slurm.gpus_per_node"),
        ("gres=gqu:1", "slurm.gres"),
        ("mem=999G", "slurm.mem"),
        ("exclude=nowhere", "slurm.exclude"),
        ("bigin=now", "slurm.additional"),
    ],
)
def test_what_sbatch_refuses_is_known_before_and_traced_to_its_key(here, option, key):
    script = "#!/bin/sh\n#SBATCH --%s\n#SBATCH --array=0-3\ntrue\n"
    client.test_only(script % "time=30")
    with pytest.raises(Refused) as caught:
        client.test_only(script % option)
    assert key in (caught.value.key or ""), str(caught.value)
    assert client.squeue() == [] or all(found.final for found in client.squeue())


def test_what_waits_for_a_drained_node_is_not_refused(here):
    here.scontrol("update", f"nodename={NODE}", "state=drain", "reason=test")
    try:
        client.test_only("#!/bin/sh\n#SBATCH --mem=1G\ntrue\n")
    finally:
        here.node_resume()


@pytest.mark.parametrize(
    ("options", "code", "key"),
    [
        (["--partition=short", "--time=60"], "PartitionTimeLimit", "slurm.time"),
        (["--cpus-per-task=9"], "PartitionConfig", "slurm.cpus_per_task"),
        (["--hold"], "JobHeldUser", "scontrol release"),
    ],
    ids=["time", "cpus", "hold"],
)
def test_a_job_that_can_never_start_says_what_to_change(here, options, code, key):
    job = here.submit("true", *options)
    here.wait_for(lambda: row(job).reason == code, 30, f"the reason is {code}")
    assert key in messages.stuck(code)


@pytest.mark.parametrize("text", ["3", "90:30", "2:00:00", "0-3", "0-1:30", "0-1:30:10"])
def test_times_mean_to_sbatch_what_they_mean_to_us(here, text):
    job = here.submit("true", "--hold", f"--time={text}")
    assert slurm_times.minutes_of(here.details(job)["TimeLimit"]) == slurm_times.minutes_of(text)


def test_the_accounting_tells_attempts_and_exit_codes(accounted_slurm, monkeypatch):
    use(accounted_slurm, monkeypatch)
    job = accounted_slurm.submit("exit 3")
    accounted_slurm.wait_for_state(job, "FAILED")
    (attempt,) = accounted_slurm.wait_for(
        lambda: [e for e in client.sacct([job]).get(job, []) if e.state == "FAILED"], 30, "sacct"
    )
    assert (attempt.exit_code, attempt.node) == ("3:0", NODE)


@pytest.mark.parametrize(
    ("option", "key"), [("account=nobody", "slurm.account"), ("qos=gold", "slurm.qos")]
)
def test_refused_accounts_and_qualities_name_their_key(accounted_slurm, monkeypatch, option, key):
    use(accounted_slurm, monkeypatch)
    with pytest.raises(Refused) as caught:
        client.test_only(f"#!/bin/sh\n#SBATCH --{option}\ntrue\n")
    assert caught.value.key == key


def test_too_long_a_time_for_the_quality_of_service_needs_a_person(accounted_slurm, monkeypatch):
    use(accounted_slurm, monkeypatch)
    job = accounted_slurm.submit("true", "--qos=brief", "--time=30")
    accounted_slurm.wait_for(lambda: "QOS" in row(job).reason, 30, "the reason is known")
    assert "slurm.time" in messages.stuck(row(job).reason)
    assert client.scancel([job]) == []
