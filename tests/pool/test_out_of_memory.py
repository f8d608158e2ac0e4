"""Where memory runs out for cells beside each other, a run goes on with fewer at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.cli import cell_folder, records, run_grid, write_study

proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")


@proc
@pytest.mark.parametrize("kind", ["OutOfMemoryError", "AcceleratorError"])
def test_cells_without_memory_beside_each_other_all_finish_with_fewer_workers(kind, tmp_path):
    """Both workers run out of it at the same time."""
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Hungry"], epochs=1)
    seen = tmp_path / "workers"
    seen.mkdir()
    more = ["--workers", "2", "--set", "axes.seed=[1, 2, 3]", "--set", "run.retries=0"]
    environment = {"WORKERS": str(seen), "CROWD": "2", "KIND": kind}
    run = run_grid(study, tmp_path / "results", *more, folder=tmp_path, **environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 of 3 cells done" in run.stdout
    assert "out of memory; continues with 1 on its device" in run.stdout
    cells = list(tmp_path.glob("results/s/cells/*"))
    made = [json.loads((cell / "record.json").read_text()) for cell in cells]
    # What they could not do beside each other is no failed attempt.
    assert [record["provenance"]["attempts"] for record in made] == [1, 1, 1]
    assert not any((cell / "failed.json").exists() for cell in cells)
    assert "CUDA error: out of memory" in "".join((cell / "log.txt").read_text() for cell in cells)
    assert len(list(seen.iterdir())) <= 3  # one may have been started again


def test_a_cell_without_memory_although_alone_has_failed_and_only_retry_failed_tries_again(
    tmp_path,
):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Starved"], epochs=1)
    results = tmp_path / "results"

    def attempts(*more: str) -> int:
        run = run_grid(study, results, *more, folder=tmp_path)
        assert run.returncode == 1 and records(results) == {}
        assert "0 of 1 cell done" in run.stdout and "continues with" not in run.stdout
        failed = json.loads((cell_folder(results, "Starved") / "failed.json").read_text())
        assert (failed["kind"], failed["transient"]) == ("memory", False)
        return failed["attempts"]

    assert [attempts(), attempts(), attempts("--retry-failed", "--workers", "0")] == [1, 1, 2]


def test_a_cell_without_memory_beside_others_that_have_it_fails_alone(tmp_path):
    methods = ["misbehaving:Starved", "cross_entropy"]
    study = write_study(tmp_path / "study.yaml", methods, epochs=1)
    run = run_grid(study, tmp_path / "results", "--workers", "2", folder=tmp_path)
    assert run.returncode == 1
    assert set(records(tmp_path / "results")) == {"cross_entropy"}
    assert run.stdout.count("continues with 1 on its device") == 1
    left = json.loads((cell_folder(tmp_path / "results", "Starved") / "failed.json").read_text())
    assert (left["kind"], left["attempts"]) == ("memory", 1)
