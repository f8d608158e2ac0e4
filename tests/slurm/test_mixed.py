"""One study on two backends at once; and what is shown of it, held against files and the queue."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers.cli import write_study
from tests.slurm.accidents import OnSlurm, labelled
from tests.slurm.studies import LATER, assert_equal, undisturbed
from tests.slurm.watcher import Watcher

pytestmark = pytest.mark.slurm

EPOCHS, HELD = 9, 5
FIRST, THEN = ("cross_entropy", "metalabelnet"), "fine_tune"
ONLY_FIRST = ["--only", f"method={','.join(FIRST)}"]
TWO_AT_ONCE = ["--set", "slurm.cells_per_task=3", "--set", "slurm.cpus_per_task=2"]


def make(cluster, folder: Path) -> OnSlurm:
    """Three methods and three seeds."""
    study = write_study(folder / "study.yaml", [*FIRST, THEN], epochs=EPOCHS)
    content = json.loads(study.read_text())
    content["axes"]["seed"] = [0, 1, 2]
    study.write_text(json.dumps(content))
    return OnSlurm(cluster, folder, study)


def trained(on: OnSlurm) -> dict[str, list[int]]:
    """Cell -> epochs that were trained for it, anywhere and in order: its log is kept for good."""
    return {
        path.parent.name: [int(n) for n in re.findall(r"INFO epoch (\d+) ", path.read_text())]
        for path in on.results.glob("s/cells/*/log.txt")
    }


def kill_halfway(on: OnSlurm) -> None:
    """Seed 0 here and seed 1 on SLURM, both ended by SIGKILL after their warm-ups."""
    (job,) = on.submit(*ONLY_FIRST, "--only", "seed=1", *TWO_AT_ONCE, HOLD=str(HELD))
    local = on.popen(*ONLY_FIRST, "--only", "seed=0", "--workers", "2", HOLD=str(HELD))
    for seed in (0, 1):
        for method in FIRST:
            on.wait_for_checkpoints(method, HELD, seed)
    os.killpg(local.pid, signal.SIGKILL)
    local.communicate()
    on.cluster.kill_task(job)
    assert on.wait_for_end(job) == {job: "FAILED"}


def test_halves_on_two_backends_are_killed_and_finished_on_the_other_one(slurm, tmp_path):
    on = make(slurm, tmp_path)
    with undisturbed(on.study, tmp_path / "undisturbed") as whole:
        kill_halfway(on)
        finish_elsewhere(on)
        check_what_is_shared(on)
        assert_equal(on.results, whole(), 9)


def finish_elsewhere(on: OnSlurm) -> None:
    """Seed 0 on SLURM, seed 1 here; seed 2 is queued there and done here."""
    said = on.states()
    assert said["cross_entropy"][0] == "missing" and "was cut off" in said["cross_entropy"][1]
    assert said["metalabelnet/1"][0] == "failed"
    before = trained(on)
    halfway = {cell: len(epochs) for cell, epochs in before.items()}
    assert len(before) == 4 and all(epochs[-1] == HELD for epochs in before.values())

    (queued,) = on.submit("--only", "seed=2", *TWO_AT_ONCE, *LATER)
    (job,) = on.submit("--only", "seed=0", *TWO_AT_ONCE, HOLD="1")
    for method in FIRST:
        on.wait_for_checkpoints(method, HELD + 1)
    assert on.states()["cross_entropy/2"][0] == "queued"
    local = on.popen("--workers", "2")  # all cells, those in the queue and those running there
    on.cluster.wait_for(lambda: len(on.records()) == 7, 120, "seeds 1 and 2 and fine-tune")
    on.go()
    printed, _ = local.communicate(timeout=60)
    assert local.returncode == 0 and "9 of 9 cells done" in printed, printed
    on.cluster.scontrol("update", f"jobid={queued}", "StartTime=now")
    assert set(on.wait_for_end(queued, job).values()) == {"COMPLETED"}
    assert {state for state, _ in on.states().values()} == {"done"}
    assert not list(on.results.rglob("checkpoint.pt"))
    assert list((on.results / "s" / "leases").iterdir()) == []

    for cell, epochs in trained(on).items():
        twice = [epoch for epoch, n in Counter(epochs[halfway.get(cell, 0) :]).items() if n > 1]
        assert not twice and epochs[-1] == EPOCHS, f"{cell}: {epochs}"
    on_slurm = {e["label"] for e in on.entries() if e["job"] in (job, queued)}
    assert on_slurm == set(FIRST)  # the third cell of the task, and those of seed 2, were done


def check_what_is_shared(on: OnSlurm) -> None:
    """Labels were drawn once, whoever needed them; threads were one everywhere."""
    assert len(list(on.results.glob("s/noise/*.npz"))) == 3
    for path in on.records():
        assert json.loads(path.read_text())["provenance"]["torch_threads"] == 1


def test_what_is_shown_through_a_requeue_is_what_files_and_squeue_say(slurm, tmp_path):
    labels = ("slow-1", "slow-2", "slow-3")
    study = write_study(tmp_path / "study.yaml", labelled(*labels), epochs=6)
    on = OnSlurm(slurm, tmp_path, study)
    jobs = on.submit("--set", "slurm.max_running=2", PACE="0.5")
    with Watcher(on, dict(zip(labels, jobs, strict=True))) as watcher:
        on.wait_for_checkpoints(labels[0], 3)
        forged = lease_of_a_dead_node(on, labels[0])
        slurm.scontrol("requeue", jobs[0])
        slurm.wait_for(lambda: "requeued" in watcher.seen[labels[0]], 60, "it is shown")
        forged.unlink()
        slurm.start_now(jobs[0])
        on.wait_for_end(*jobs)
        seen = {label: list(states) for label, states in watcher.seen.items()}
    watcher.sample()
    assert watcher.wrong == []
    assert {"running", "requeued"} <= set(seen[labels[0]]) and "queued" in seen[labels[2]]
    assert {states[-1] for states in watcher.seen.values()} == {"done"}


def lease_of_a_dead_node(on: OnSlurm, label: str) -> Path:
    """Adds a lease such as the running cell has, of a machine that was silent for 30 seconds."""
    (path,) = on.results.glob(f"s/leases/*__{label}__*")
    content = json.loads(path.read_text())
    content["holder"]["machine"] = "elsewhere"
    forged = path.with_suffix(".99")
    forged.write_text(json.dumps(content))
    os.utime(forged, times=(time.time() - 30,) * 2)
    return forged
