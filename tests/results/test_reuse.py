"""What has been run is run once, in other studies and under other labels; nothing goes unsaid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from analysis import frames, studies
from tests.helpers.cli import run_grid, write_study

METHODS = ["cross_entropy", {"name": "gce", "q": 0.5}]


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """A folder with a finished study of two cells."""
    folder = tmp_path_factory.mktemp("reuse")
    study = write_study(folder / "study.yaml", METHODS, epochs=1)
    assert run_grid(study, folder / "results", folder=folder).returncode == 0
    return folder


@pytest.fixture
def folder(ran, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(ran, tmp_path / "copy"))


def run(folder: Path, methods: list, *arguments: str):
    study = write_study(folder / "again.yaml", methods, epochs=1)
    return run_grid(study, folder / "results", *arguments, folder=folder)


def test_the_same_cell_of_another_study_is_taken_over(folder):
    named = ["--set", "study=other"]
    done = run(folder, [*METHODS, "clean_only"], "--set", "protocol.clean_subset=8", *named)
    assert "taken over" not in done.stdout  # a clean subset is another protocol
    done = run(folder, [*METHODS, {"name": "gce", "q": 0.9}], "--set", "study=third")
    assert "2 cells taken over: 2 from study" in done.stdout
    assert "running 1 with 1 worker" in done.stdout and "3 of 3 cells done" in done.stdout
    frame = frames.cells(studies.load(folder / "results" / "third"))
    assert frame["done"].all()
    assert not studies.load(folder / "results" / "third").without_curves


def test_nothing_is_taken_over_where_the_study_says_so(folder):
    done = run(folder, METHODS, "--set", "study=third", "--set", "run.reuse=false")
    assert "taken over" not in done.stdout and "running 2" in done.stdout


@pytest.mark.parametrize("change", ["record", "samples gone"])
def test_a_damaged_result_is_not_taken_over(folder, change):
    (cell,) = folder.glob("results/*/cells/*cross_entropy*")
    if change == "record":
        record = (cell / "record.json").read_text()
        (cell / "record.json").write_text(record.replace('"track":"fair"', '"track":"paper"'))
    else:
        (cell / "samples.npz").unlink()
    done = run(folder, METHODS, "--set", "study=third")
    assert "1 cell taken over" in done.stdout and "2 of 2 cells done" in done.stdout


def test_another_label_of_the_same_cell_changes_nothing_for_run_status_and_tables(folder):
    relabelled = ["cross_entropy", {"name": "gce", "label": "mine", "q": 0.5}]
    (name,) = {path.parent.name for path in folder.glob("results/*/study.json")}
    for option in ([], ["--status"]):
        done = run(folder, relabelled, "--set", f"study={name}", *option)
        assert "2 cells: 2 done" in done.stdout or "2 of 2 cells done already" in done.stdout
    study = studies.load(folder / "results" / name)
    assert len(study.records) == 2 and study.others == 0
    assert {cell["label"] for cell in study.cells} == {"cross_entropy", "mine"}


def test_a_study_that_would_lose_cells_of_another_one_says_so(folder):
    (path,) = folder.glob("results/*/study.json")
    done = run(folder, ["cross_entropy"], "--set", f"study={path.parent.name}")
    assert "named 1 finished cell that this study does not have" in done.stderr
    assert done.returncode == 0 and len(json.loads(path.read_text())["cells"]) == 1
