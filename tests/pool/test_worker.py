"""What a worker makes of errors that are none of a cell's code: its device, exits, odd signals."""

from __future__ import annotations

import json
import re

import pytest

from runners.cell.run_context import RunContext
from runners.pool.job_queue import JobQueue
from runners.pool.messages import Failed
from runners.pool.pool import run_in_pool, run_in_process
from runners.results.failures import Kind, of_error, of_exit
from runners.results.job import Job
from runners.results.store import State, StudyFolder
from tests.helpers.cells import make_cell
from tests.helpers.cli import cell_folder, records, run_grid, write_study

NO_DEVICE = "cuda:99"


def in_pool(queue, context, device, report) -> None:
    run_in_pool(queue, context, [device], report)


@pytest.mark.parametrize("launch", [in_pool, run_in_process])
def test_a_device_that_cannot_be_used_fails_each_cell_with_its_traceback(launch, tmp_path, capfd):
    place, messages = RunContext(StudyFolder(tmp_path, "s")), []
    cells = [make_cell("cross_entropy", seed=seed, epochs=1) for seed in range(2)]
    jobs = [Job(cell, (State.MISSING, 0), "today") for cell in cells]
    launch(JobQueue(jobs, place.study), place, NO_DEVICE, messages.append)
    ends = [message.name for message in messages if isinstance(message, Failed)]
    assert ends == [cell.name for cell in cells]
    for cell in cells:
        left = json.loads(place.study.cell(cell.name).failed.read_text())
        assert left["kind"] in (Kind.RAISED, Kind.CUDA) and "worker ended" not in left["reason"]
        assert "Traceback" in left["details"] and "torch/cuda" in left["details"]
        assert left["log_tail"] == left["details"].rstrip().splitlines()[-20:]
    if launch is in_pool:
        assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_cell_that_exits_fails_with_its_code_and_the_others_go_on(workers, tmp_path):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Exits", "cross_entropy"], epochs=1)
    run = run_grid(study, tmp_path / "results", "--workers", workers, folder=tmp_path)
    assert run.returncode == 1, run.stderr
    assert set(records(tmp_path / "results")) == {"cross_entropy"}
    left = json.loads((cell_folder(tmp_path / "results", "Exits") / "failed.json").read_text())
    assert (left["kind"], left["reason"], left["transient"]) == (
        "exited",
        "exited with code 3",
        False,
    )
    assert "sys.exit(3)" in left["details"] and "1 cell failed" in run.stderr


def test_each_cell_in_the_main_process_has_a_log_beside_what_the_terminal_shows(tmp_path):
    methods = ["misbehaving:Raises", "misbehaving:Says"]
    study, results = write_study(tmp_path / "study.yaml", methods), tmp_path / "results"
    run = run_grid(study, results, "--workers", "0", folder=tmp_path)
    assert run.returncode == 1
    raises, says = (cell_folder(results, label) / "log.txt" for label in ("Raises", "Says"))
    assert "no luck with this batch" in raises.read_text() and str(raises) in run.stderr
    assert "no luck with this batch" in run.stderr and "no luck" not in says.read_text()
    assert "so it says" in run.stdout and says.read_text().startswith("so it says\n")
    assert re.search(r" INFO epoch 2 accuracy 0\.\d+", says.read_text())
    assert "INFO" not in run.stdout + run.stderr and "cells done" not in says.read_text()


@pytest.mark.parametrize(
    ("end", "reason"), [(None, "code 0"), (1, "code 1"), ("no data", "code 'no data'")]
)
def test_the_reason_of_an_exit_is_what_was_given_to_it(end, reason):
    assert of_error(SystemExit(end), "").reason == f"exited with {reason}"


def test_a_signal_without_a_name_is_told_by_its_number(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Killed", "cross_entropy"], epochs=1)
    once = ["--set", "run.retries=0"]
    run = run_grid(study, tmp_path / "results", *once, folder=tmp_path, SIGNAL="40")
    assert run.returncode == 1, run.stderr
    assert set(records(tmp_path / "results")) == {"cross_entropy"}
    left = json.loads((cell_folder(tmp_path / "results", "Killed") / "failed.json").read_text())
    assert left["reason"] == "the worker was killed by signal 40" and left["kind"] == "killed"


def test_signals_of_a_broken_program_are_told_from_those_of_others():
    kinds = [of_exit(-number, False).kind for number in (11, 6, 9, 15, 34, 40, 64)]
    assert kinds == [Kind.CRASHED] * 2 + [Kind.KILLED] * 5


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.MEMORY, "CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        (Kind.MEMORY, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        (Kind.MEMORY, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        (
            Kind.MEMORY,
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 8000000000000 bytes.",
        ),
        (Kind.CUDA, "CUDA error: an illegal memory access was encountered"),
        (Kind.CUDA, "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        (Kind.RAISED, "CUDA error: device-side assert triggered"),
        (Kind.RAISED, "no luck with this batch"),
    ],
)
def test_want_of_memory_is_told_from_other_errors_of_a_gpu(kind, text):
    assert of_error(RuntimeError(text), "").kind == kind
