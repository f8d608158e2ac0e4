"""`analysis/compare_runs.py` says whether two results folders hold the same bits, and where not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.study_pairs import (
    CELLS,
    FIRST,
    SCRIPT,
    SECOND,
    THIRD,
    compare,
    edit,
    edit_epoch,
    origin,
    study,
    write_samples,
)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of one study with the same results."""
    return study(tmp_path / "a" / "s"), study(tmp_path / "b" / "s")


def test_two_runs_with_the_same_results_are_equal(two):
    assert compare(*two) == (0, ["3 cells are equal, bit for bit"])


def test_the_command_works_from_any_folder_and_imports_no_torch(two):
    command = [sys.executable, "-X", "importtime", str(SCRIPT), "a", "b"]
    done = subprocess.run(command, cwd=two[0].parents[1], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "3 cells are equal, bit for bit\n")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported and "torch" not in imported


def test_times_memory_commit_code_and_attempts_may_differ(tmp_path):
    a = study(tmp_path / "a")
    other = {"git_sha": "2" * 40, "dirty": True, "sources": [], "attempts": 2, "host": "elsewhere"}
    other |= {"fingerprint": "code-of-tomorrow", "python": "3.14.0"}
    other |= {"packages": {"torch": "2.11.0", "numpy": "2.4.0"}}
    b = study(tmp_path / "b", timing={"total_s": 2.0}, peak_memory_mb=900.0, **origin(**other))
    edit_epoch(b, SECOND, 4, lambda line: line.update(seconds=9.0, train_seconds=8.0))
    code, said = compare(a, b)
    assert (code, said[0]) == (0, "3 cells are equal, bit for bit")
    assert said[1:] == ["Made by different code in A and B (fingerprint): 3 of 3."]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: r["accuracy"]["last"].update(test=0.8 + 1e-16 * 2),
            "accuracy.last.test: 0.8 in",
        ),
        (lambda r: r["cell"].update(display="Other"), 'cell.display: "GCE" in A, "Other" in B'),
        (lambda r: r["config"].pop("hparams"), 'config.hparams: {"q": 0.7} in A, absent in B'),
        (lambda r: r.update(labels={"n": 1}), 'labels: absent in A, {"n": 1} in B'),
        (
            lambda r: r["noise"]["matrix"][0].append(0.5),
            "noise.matrix[0][1]: absent in A, 0.5 in B",
        ),
        (lambda r: r["counts"].update(clean_val=False), "counts.clean_val: 0 in A, false in B"),
        (lambda r: r.update(end_of_warmup=0.5), "end_of_warmup: absent in A, 0.5 in B"),
        (lambda r: r["provenance"].update(data_sha256="e"), "provenance.data_sha256: "),
        (lambda r: r["provenance"].update(split_sha256="6"), "provenance.split_sha256: "),
    ],
)
def test_a_difference_of_a_record_names_cell_field_and_both_values(two, change, message):
    edit(two[1], SECOND, change)
    code, said = compare(*two)
    assert code == 1
    assert said[0].startswith(f"s: {SECOND}: {message}")
    assert said[1:] == ["1 of 3 cells differs"]


def test_the_first_difference_is_the_first_in_the_order_of_the_grid(two):
    for name in (THIRD, SECOND):
        edit(two[0], name, lambda r: r["accuracy"]["last"].update(test=0.5))
    code, said = compare(*two)
    assert code == 1
    assert said == [f"s: {SECOND}: accuracy.last.test: 0.5 in A, 0.8 in B", "2 of 3 cells differ"]


def test_whole_numbers_are_equal_with_and_without_a_point(two):
    edit(two[1], FIRST, lambda r: r["counts"].update(train=10575.0))
    assert compare(*two)[0] == 0


def test_a_difference_of_the_epochs_is_named(two):
    edit_epoch(two[1], THIRD, 3, lambda line: line["train"].update(loss=7.5))
    assert compare(*two)[1][0] == f"s: {THIRD}: epochs[3].train.loss: 0.5 in A, 7.5 in B"


def test_unreadable_epochs_are_a_difference_even_on_both_sides(two):
    for folder in two:
        (folder / "cells" / FIRST / "epochs.jsonl").write_text('{"epo')
    assert compare(*two)[1][0] == f"s: {FIRST}: epochs: unreadable in A and in B"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prediction": np.array([0, 1, 9, 1], np.int16)}, "prediction[2]: 2 in A, 9 in B"),
        ({"prediction": np.array([0, 1, 2, 1], np.int32)}, "prediction.dtype: <i2 in A, <i4 in B"),
        ({"index": np.arange(4)[:, None]}, "index.shape: (4,) in A, (4, 1) in B"),
        ({"prediction": None}, "prediction: absent in B"),
        ({"clean_probability": np.zeros(4)}, "clean_probability: absent in A"),
    ],
)
def test_a_difference_of_the_samples_names_array_and_row(two, changes, message):
    write_samples(two[1] / "cells" / FIRST / "samples.npz", **changes)
    code, said = compare(*two)
    assert (code, said[0]) == (1, f"s: {FIRST}: samples.npz.{message}")


def test_missing_and_unreadable_samples_are_a_difference(two):
    path = two[1] / "cells" / FIRST / "samples.npz"
    np.savez(path, index=np.array([{}], dtype=object))  # would need pickle
    assert compare(*two)[1][0] == f"s: {FIRST}: samples.npz: unreadable in B"
    path.unlink()
    assert compare(*two)[1][0] == f"s: {FIRST}: samples.npz: missing in B"


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_record_is_a_difference(tmp_path, packed):
    a, b = (study(tmp_path / side, packed=packed) for side in "ab")
    path = b / "records.jsonl" if packed else b / "cells" / FIRST / "record.json"
    path.write_text(path.read_text().replace('"test": 0.8}', '"test": 0.9}', 1))
    code, said = compare(a, b)
    assert (code, said[0]) == (1, f"a: {FIRST}: damaged in B")


def test_a_record_of_another_schema_is_a_difference(two):
    edit(two[0], FIRST, lambda r: r.update(schema=1))
    assert compare(*two)[1][0] == f"s: {FIRST}: of another schema in A"


def test_a_cell_that_one_study_does_not_plan_is_missing_there(tmp_path):
    a, b = study(tmp_path / "a", CELLS[1:]), study(tmp_path / "b")
    assert compare(a, b) == (1, [f"a: {FIRST}: missing in A", "1 of 3 cells differs"])
    assert compare(b, a) == (1, [f"b: {FIRST}: missing in B", "1 of 3 cells differs"])


def test_a_packed_study_is_compared_with_the_live_one_but_for_samples(tmp_path):
    live, packed = study(tmp_path / "live"), study(tmp_path / "packed", packed=True)
    note = "Without samples.npz, which a packed study does not have."
    assert compare(live, packed) == (0, ["3 cells are equal, bit for bit", note])
    edit_epoch(live, THIRD, 3, lambda line: line["train"].update(loss=7.5))
    assert compare(packed, live)[1][0].endswith("epochs[3].train.loss: 0.5 in A, 7.5 in B")


def test_studies_of_results_folders_are_matched_by_name(tmp_path):
    for side in "ab":
        study(tmp_path / side / "s", CELLS[:1])
        study(tmp_path / side / "t", CELLS[1:])
    assert compare(tmp_path / "a", tmp_path / "b") == (0, ["3 cells are equal, bit for bit"])
    shutil.rmtree(tmp_path / "b" / "s")
    code, said = compare(tmp_path / "a", tmp_path / "b")
    assert (code, said) == (1, [f"s: {FIRST}: missing in B", "1 of 3 cells differs"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "a GPU"}, "device is cpu in A and a GPU in B"),
        ({"processor": "a CPU, SSE2"}, "processor is a CPU, AVX2 in A and a CPU, SSE2 in B"),
        ({"packages": {"torch": "2.12.0"}}, "torch is 2.11.0 in A and 2.12.0 in B"),
        ({"torch_threads": 2}, "torch_threads is 1 in A and 2 in B"),
    ],
)
def test_unequal_hardware_torch_or_threads_are_named_before_any_difference(
    tmp_path, change, message
):
    a, b = study(tmp_path / "a"), study(tmp_path / "b", **origin(**change))
    shutil.rmtree(b / "cells" / FIRST)
    edit(b, SECOND, lambda r: r["accuracy"]["last"].update(test=0.5))
    code, (sentence,) = compare(a, b)
    assert code == 2
    assert f"a: {SECOND} cannot be compared bit for bit: {message}" in sentence


def test_a_record_from_before_processors_were_noted_is_compared(two):
    edit(two[0], FIRST, lambda r: r["provenance"].pop("processor"))
    assert compare(*two)[0] == 0


def test_two_studies_of_one_name_in_a_folder_are_an_error(two):
    shutil.copytree(two[0], two[0].parent / "copy")
    code, (sentence,) = compare(two[0].parent, two[1].parent)
    assert code == 2 and "two of its studies have the name s" in sentence
