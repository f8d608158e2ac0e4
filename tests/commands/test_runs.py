"""`run_grid.py` as a person uses it: what it says, what it runs, and that it repeats itself.

One folder of results is made once and shared. It is made from another working directory, with
another package called `datasets` in the way.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from datasets.noise.statistics import labels_sha256
from runners.results.store import StudyFolder
from tests.helpers.cli import (
    Finished,
    cell_folder,
    command,
    environment,
    records,
    run_grid,
    timeless,
    write_study,
)


def test_a_run_says_one_line_per_finished_cell_with_accuracy_counts_and_rate(finished, found):
    for number in range(1, 5):
        (line,) = [s for s in finished.output.splitlines() if s.startswith(f"[{number}/4] ")]
        name, percent = re.search(r"\] (\S+)  ([\d.]+) %", line).groups()
        record = json.loads((finished.results / "s" / "cells" / name / "record.json").read_text())
        assert float(percent) == pytest.approx(100 * record["accuracy"]["last"]["test"], abs=0.006)
        assert re.search(rf"{number} done, 0 failed, .* waiting, \d+ cells/h, .* left", line)
    assert f"4 of 4 cells done; results in {finished.results / 's'}" in finished.output


def test_labels_are_stored_once_and_are_those_of_every_record(finished, found):
    stored = sorted((finished.results / "s" / "noise").iterdir())
    assert len(stored) == 1
    assert re.fullmatch(r"simulated__symmetric-0\.4__s0__[0-9a-f]{8}\.npz", stored[0].name)
    labels = np.load(stored[0])["labels"]
    assert {record["noise"]["labels_sha256"] for record in found.values()} == {
        labels_sha256(labels)
    }
    for label in found:
        with np.load(cell_folder(finished.results, label) / "samples.npz") as file:
            assert np.array_equal(file["given_label"], labels[file["index"]])


def test_study_json_lists_the_whole_grid_although_only_half_was_run(finished):
    study = json.loads((finished.results / "s" / "study.json").read_text())
    names = [cell["name"] for cell in study["cells"]]
    assert len(set(names)) == 8
    done = {path.parent.name for path in finished.results.glob("s/cells/*/record.json")}
    assert done == {name for name in names if "__symmetric-0.4__" in name}


def test_a_second_run_says_that_everything_is_done_and_starts_nothing(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.results.glob("s/cells/*/*")}
    run = run_grid(
        finished.study, finished.results, "--only", "noise=symmetric", folder=finished.folder
    )
    assert run.returncode == 0 and run.stderr == ""
    assert run.stdout.splitlines() == [
        f"4 of 4 cells done already, nothing to run; results in {finished.results / 's'}"
    ]
    assert before == {p: p.stat().st_mtime_ns for p in finished.results.glob("s/cells/*/*")}


def test_a_cell_alone_in_the_main_process_gives_the_same_bits_as_in_the_pool(
    finished, found, tmp_path
):
    labels = ("metalabelnet", "co_teaching")
    only = ["--only", f"method={','.join(labels)}", "--only", "noise=symmetric"]
    run = run_grid(finished.study, tmp_path, *only, "--workers", "0", folder=finished.folder)
    assert run.returncode == 0, run.stdout + run.stderr
    alone = records(tmp_path)
    assert set(alone) == set(labels)
    for label in labels:
        assert alone[label]["final_weights_sha256"] == found[label]["final_weights_sha256"]
        ours, theirs = (cell_folder(r, label) for r in (tmp_path, finished.results))
        assert timeless(ours / "epochs.jsonl") == timeless(theirs / "epochs.jsonl")


def plan(finished: Finished, results: Path, *python: str) -> subprocess.CompletedProcess[str]:
    line = command(finished.study, results, "--plan")
    return subprocess.run(
        [line[0], *python, *line[1:]],
        cwd=finished.folder,
        env=environment(finished.folder),
        capture_output=True,
        text=True,
    )


def test_a_plan_lists_states_and_durations_and_imports_no_torch(finished):
    before = sorted(finished.results.rglob("*"))
    run = plan(finished, finished.results, "-X", "importtime")
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "runners.results.plan" in imported
    assert not {"torch", "pandas", "matplotlib"} & imported
    lines = run.stdout.splitlines()
    for cell in json.loads((finished.results / "s" / "study.json").read_text())["cells"]:
        (line,) = [line for line in lines if line.startswith(f"{cell['name']} ")]
        done = "__symmetric-0.4__" in cell["name"]
        assert re.search(r"\bdone\b" if done else r"\bmissing\b", line)
        assert "(measured)" in line  # a clean cell has its noisy neighbour's time
    assert "8 cells: 4 missing, 4 done" in lines
    assert sorted(finished.results.rglob("*")) == before


def test_a_plan_of_an_untouched_study_guesses_and_writes_nothing(finished, tmp_path):
    run = plan(finished, tmp_path / "none")
    assert run.returncode == 0 and "8 cells: 8 missing" in run.stdout
    assert "(guess)" in run.stdout and "(measured)" not in run.stdout
    assert not (tmp_path / "none").exists()


def test_a_damaged_record_is_named_and_not_counted_as_done(finished, tmp_path):
    # Named, as it is drawn for another method of the finished study.
    study = write_study(tmp_path / "study.yaml", ["cross_entropy"], clean_subset=8)
    source = cell_folder(finished.results, "cross_entropy")
    folder = StudyFolder(tmp_path / "results", "s").cell(source.name)
    folder.path.mkdir(parents=True)
    folder.record.write_text((source / "record.json").read_text().replace("fair", "paper", 1))
    run = run_grid(study, tmp_path / "results", folder=finished.folder)
    assert run.returncode == 1 and run.stdout.startswith("0 of 1 cell done; results in ")
    assert run.stderr.startswith(f"damaged: {folder.record} does not match its checksum")
