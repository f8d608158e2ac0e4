"""Cells that fail, diverge or kill their worker cost nothing but themselves; so does Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from runners.run_grid import main
from tests.helpers.cli import (
    KILLED,
    RUN_GRID,
    cell_folder,
    command,
    environment,
    finished_study,
    records,
    run_grid,
    write_study,
)

FAILING = ["Raises", "NotFinite", "Killed"]
ONCE = ["--set", "run.retries=0"]
GRID = [*(f"misbehaving:{name}" for name in FAILING), "cross_entropy", "clean_only"]


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """The folder of a run with three failing cells of five, and the run."""
    folder = tmp_path_factory.mktemp("failing")
    study = write_study(folder / "study.yaml", GRID, epochs=1, noisy_val=0.2)
    return folder, run_grid(study, folder / "results", *ONCE, folder=folder)


def failure(folder: Path, label: str) -> dict:
    return json.loads((cell_folder(folder / "results", label) / "failed.json").read_text())


def test_other_cells_finish_and_the_exit_code_is_1(failed):
    folder, run = failed
    assert run.returncode == 1
    assert set(records(folder / "results")) == {"cross_entropy", "clean_only"}
    assert "2 done, 3 failed, 0 running, 0 waiting" in run.stdout
    assert run.stdout.splitlines()[-1].startswith("2 of 5 cells done; results in ")
    again = (
        f"{folder / 'study.yaml'} --results {folder / 'results'} {' '.join(ONCE)} --retry-failed"
    )
    assert f"3 cells failed; retry: python {RUN_GRID} {again}" in run.stderr


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("Raises", r"RuntimeError: no luck with this batch"),
        ("NotFinite", r"Diverged: the loss was not finite in epoch 1"),
        ("Killed", KILLED),
    ],
)
def test_a_failed_cell_leaves_its_reason_and_is_named_with_its_log(failed, label, reason):
    folder, run = failed
    path = cell_folder(folder / "results", label)
    left = failure(folder, label)
    assert re.fullmatch(reason, left["reason"]) and left["attempts"] == 1
    assert not (path / "record.json").exists()
    (line,) = [line for line in run.stderr.splitlines() if line.startswith(f"failed: {path.name}")]
    assert re.search(reason, line) and str(path / "log.txt") in line
    assert (path / "log.txt").is_file()
    if label == "Raises":
        assert 'raise RuntimeError("no luck' in left["details"]
        assert left["details"].strip() in (path / "log.txt").read_text()


def test_no_half_written_file_is_left(failed):
    folder, _ = failed
    assert not list((folder / "results").rglob("*.tmp*"))


def test_the_same_noise_and_seed_give_the_same_labels_under_another_protocol(
    failed, tmp_path_factory
):
    other = records(finished_study(tmp_path_factory.getbasetemp()).results)["cross_entropy"]
    mine = records(failed[0] / "results")["cross_entropy"]
    assert mine["config"]["protocol"] != other["config"]["protocol"]
    assert mine["noise"]["labels_sha256"] == other["noise"]["labels_sha256"]


def copied(failed, tmp_path: Path) -> Path:
    """A copy of the failed run's folder that a test may change."""
    return shutil.copytree(failed[0], tmp_path / "copy")


def test_a_plain_run_tries_again_what_was_killed_and_not_what_would_fail_again(failed, tmp_path):
    folder = copied(failed, tmp_path)
    run = run_grid(folder / "study.yaml", folder / "results", *ONCE, folder=folder)
    assert run.returncode == 1 and "2 of 5 cells done; results in " in run.stdout
    assert run.stderr.count("failed before: ") == 2 and "--retry-failed" in run.stderr
    attempts = {label: failure(folder, label)["attempts"] for label in FAILING}
    assert attempts == {"Raises": 1, "NotFinite": 1, "Killed": 2}


def test_retries_are_for_what_may_pass_by_itself(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Raises", "misbehaving:Killed"])
    run = run_grid(study, tmp_path / "results", "--set", "run.retries=2", folder=tmp_path)
    assert run.returncode == 1
    assert len(re.findall(f"{KILLED}; retrying", run.stdout)) == 2
    attempts = {label: failure(tmp_path, label)["attempts"] for label in ("Raises", "Killed")}
    assert attempts == {"Raises": 1, "Killed": 3}


def test_a_failure_says_what_kind_it_is_and_how_the_log_ended(failed):
    folder, _ = failed
    kinds = {label: failure(folder, label)["kind"] for label in FAILING}
    assert kinds == {"Raises": "raised", "NotFinite": "diverged", "Killed": "killed"}
    assert failure(folder, "Killed")["transient"] and not failure(folder, "Raises")["transient"]
    assert failure(folder, "Raises")["log_tail"][-1].endswith("no luck with this batch")


def test_retry_failed_tries_them_again_and_counts_attempts(failed, monkeypatch, tmp_path):
    folder = copied(failed, tmp_path)
    results = folder / "results"
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("HEALED", "1")
    only = ["--only", "method=Raises,NotFinite", "--retry-failed", "--workers", "0"]
    assert main([str(folder / "study.yaml"), "--results", str(results), *only]) == 1
    assert failure(folder, "Raises")["attempts"] == 2
    assert not (cell_folder(results, "NotFinite") / "failed.json").exists()
    assert records(results)["NotFinite"]["provenance"]["attempts"] == 2
    assert failure(folder, "Killed")["attempts"] == 1


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ctrl_c_ends_the_workers_keeps_what_is_finished_and_says_how_to_go_on(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy", "misbehaving:Endless"])
    results, pid_file = tmp_path / "results", tmp_path / "pid"
    line = command(study, results)
    run = subprocess.Popen(
        line,
        cwd=tmp_path,
        env=environment(tmp_path, PID_FILE=str(pid_file)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: pid_file.exists() and pid_file.read_text() and records(results))
        asked = time.monotonic()
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        _, said = run.communicate(timeout=30)
        assert time.monotonic() - asked < 10
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    assert run.returncode == 130
    assert "finished cells are kept" in said and "Traceback" not in said
    assert f"python {' '.join(line[1:])}" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert set(records(results)) == {"cross_entropy"}
    endless = cell_folder(results, "Endless")
    assert not (endless / "record.json").exists() and not (endless / "failed.json").exists()


def test_a_worker_that_dies_beside_a_living_child_of_its_own_does_not_hang_the_run(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Orphaning", "gce"], epochs=1)
    began = time.monotonic()
    with (tmp_path / "said").open("w") as said:  # not a pipe, which the child would hold open
        line = command(study, tmp_path / "results", *ONCE)
        run = subprocess.run(line, stdout=said, stderr=said, env=environment(tmp_path))
    assert run.returncode == 1 and set(records(tmp_path / "results")) == {"gce"}
    assert time.monotonic() - began < 45  # the child lives for a minute


def test_a_cell_that_says_nothing_for_too_long_is_ended_and_tried_again(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Endless"], epochs=1)
    limit = ["--set", "run.cell_timeout=0.05", "--set", "run.retries=1"]
    run = run_grid(study, tmp_path / "results", *limit, folder=tmp_path, PID_FILE=tmp_path / "pid")
    assert run.returncode == 1 and not records(tmp_path / "results")
    assert "no epoch ended within 0.05 minutes (run.cell_timeout)" in run.stderr
    assert failure(tmp_path, "Endless")["attempts"] == 2
