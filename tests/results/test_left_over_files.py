"""Temporary files whose writers are gone are removed, and no others."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runners.results.store import StudyFolder
from runners.run_grid import main
from runners.system.files import ABANDONED_S, sweep, write_atomically
from runners.system.processes import this_process
from tests.helpers.cli import cell_folder, write_study

DEAD = replace(this_process(), start="1").tag
FAR = replace(this_process(), machine="0" * 12).tag


def left(folder: Path, tag: str, age: float = 0.0) -> Path:
    path = folder / f"record.json.tmp.{tag}"
    path.write_text("{")
    os.utime(path, (time.time(), time.time() - age))
    return path


def test_what_a_dead_process_was_writing_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    dead, far, old = left(tmp_path, DEAD), left(tmp_path, FAR), left(tmp_path, f"{FAR}0", 1e5)
    target = tmp_path / "record.json"

    def write(file) -> None:
        sweep(tmp_path)
        file.write(b"{}")

    write_atomically(target, write)
    assert target.read_text() == "{}"
    assert far.exists() and not dead.exists() and not old.exists()
    assert ABANDONED_S < 1e5


def test_a_persons_own_files_stay(tmp_path):
    own = [left(tmp_path, tag, 1e6) for tag in ("bak", "2026-01-01", "mine-1-2")]
    sweep(tmp_path, exclusive=True)
    assert all(path.exists() for path in own)


@pytest.mark.parametrize("tag", [DEAD, FAR, this_process().tag], ids=["dead", "far", "own"])
def test_whoever_owns_a_folder_removes_all_of_them(tmp_path, tag):
    path = left(tmp_path, tag)
    (tmp_path / "record.json").write_text("{}")
    sweep(tmp_path, exclusive=True)
    assert not path.exists() and (tmp_path / "record.json").exists()


@pytest.mark.parametrize("to_run", [[], ["cross_entropy"]], ids=["nothing to do", "a cell to run"])
def test_no_temporary_file_of_the_dead_survives_a_run_whatever_it_runs(to_run, tmp_path):
    study = write_study(
        tmp_path / "study.yaml", ["cross_entropy", "clean_only", "gce"], epochs=1, batch_size=400
    )
    line = [str(study), "--results", str(tmp_path), "--workers", "0"]
    assert main(line) == 0
    for label in to_run:
        (cell_folder(tmp_path, label) / "record.json").unlink()
    made = StudyFolder(tmp_path, "s")
    done, held = (cell_folder(tmp_path, label) for label in ("clean_only", "gce"))
    (made.path / "slurm" / "1").mkdir(parents=True)
    for folder in (made.path, made.noise, made.path / "slurm" / "1", done, held):
        folder.mkdir(exist_ok=True)
        left(folder, DEAD)
    left(done, FAR)  # nobody runs this cell, so its writer is dead as well
    written = left(held, FAR)
    with made.leases.take(held.name):
        assert main(line) == 0
    assert list(tmp_path.rglob("*.tmp*")) == [written]
    assert main(line) == 0
    assert not list(tmp_path.rglob("*.tmp*"))
