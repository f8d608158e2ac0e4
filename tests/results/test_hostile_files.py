"""Files in a results folder may hold anything: no command fails on them with a traceback."""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import command, make_tables
from analysis.studies import load
from runners.run_grid import main
from runners.system.canonical import sha256_of
from runners.system.errors import UserError
from tests.helpers.cli import cell_folder, write_study

ABSURD = {
    "empty": b"",
    "binary": b"\xff\xfe\x00PK\x03\x04",
    "null": b"null",
    "number": b"1e999",
    "digits": b"1" * 5000,
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "list": b"[[], {}, 3]",
    "odd types": b'{"schema": [], "reason": {"a": 1}, "attempts": "many", "transient": "no", '
    b'"holder": [1], "seconds": {}, "cells": 3, "study": "../../s", "config": []}',
    "odd values": b'{"schema": 1, "reason": "\\u001b[2J\\n\\u0000", "attempts": -1e300, '
    b'"holder": {"host": 1, "machine": [], "pid": "../..", "start": {}}, "seconds": NaN, '
    b'"study": "s", "config": {"protocol": 1}, "cells": [1]}',
}


class Evil:
    """Makes a folder called `executed` where its pickle is loaded carelessly."""

    def __reduce__(self):
        return (os.mkdir, ("executed",))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory, with a study of two cells."""
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path / "study.yaml", ["cross_entropy", "mw_net"], epochs=1, batch_size=400)
    return tmp_path


def grid(*arguments: str) -> int:
    return main(["study.yaml", "--results", "results", "--workers", "0", *arguments])


def tables(monkeypatch, folder: str = "results/s") -> int:
    """The exit code of `make_tables.py`, which ends in no other way."""
    monkeypatch.setattr(sys, "argv", ["make_tables.py", folder, "--criterion", "last"])
    try:
        command.run(make_tables.main)
    except SystemExit as end:
        return end.code
    return 0


def strew(content: bytes) -> None:
    """Puts `content` into every file of the study that is not that of a finished cell."""
    cell = cell_folder(Path("results"), "cross_entropy")
    lease = Path("results/s/leases", f"{cell.name}.7")
    for path in [*Path("results/s/noise").iterdir(), lease]:
        path.write_bytes(content)
    os.utime(lease, (0, 0))  # what was just made may be half written yet
    for name in ("failed.json", "epochs.jsonl", "epochs.running.jsonl", "checkpoint.pt"):
        (cell / name).write_bytes(content)
    (cell / "record.json").unlink()
    Path("results/s/leases", "a folder.3").mkdir()
    Path("results/s/leases", f"{cell.name}.\N{SUPERSCRIPT TWO}").write_bytes(content)


@pytest.mark.parametrize("kind", ABSURD)
def test_strange_files_beside_a_cell_are_no_traceback(kind, folder, monkeypatch, capsys):
    assert grid() == 0
    capsys.readouterr()
    strew(ABSURD[kind])
    for option in ("--status", "--plan"):
        assert grid(option) == 0
    assert tables(monkeypatch) == 0
    assert grid("--retry-failed") == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err and "\x1b" not in out + err
    assert "2 of 2 cells done" in out


@pytest.mark.parametrize("kind", ABSURD)
def test_a_strange_study_file_is_one_sentence_for_tables_and_nothing_to_a_run(
    kind, folder, monkeypatch, capsys
):
    assert grid() == 0
    Path("results/s/study.json").write_bytes(ABSURD[kind])
    capsys.readouterr()
    assert tables(monkeypatch) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert grid("--status") == 0 and grid() == 0
    assert tables(monkeypatch) == 0


def test_pickles_in_any_file_are_not_executed(folder):
    assert grid() == 0
    strew(pickle.dumps(Evil()))
    arrays = np.array([Evil()], dtype=object)
    (noise,) = Path("results/s/noise").iterdir()
    np.savez(noise, labels=arrays, sha256=arrays)
    assert grid() == 0 and not Path("executed").exists()


def parts(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths to all parts of a JSON document, of lists to the first item alone."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, part in inside:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from parts(part, (*path, key))


def changed(value: Any, path: tuple, new: Any) -> Any:
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return made


def test_a_record_with_any_part_exchanged_is_shown_or_named(folder, monkeypatch, capsys):
    assert grid() == 0
    path = cell_folder(Path("results"), "cross_entropy") / "record.json"
    original = json.loads(path.read_text())
    original.pop("record_sha256")
    strange = [None, [], {}, "\x1b[2J", -1, 10**30, True]
    for number, part in enumerate(parts(original)):
        made = changed(original, part, strange[number % len(strange)])
        path.write_text(json.dumps({**made, "record_sha256": sha256_of(made)}))
        assert grid("--status") == 0 and tables(monkeypatch) == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err and "\x1b" not in out + err


@pytest.mark.parametrize("name", ["..", "../../s", "a/b", "", "s\n", "x" * 65])
def test_the_name_of_a_study_cannot_leave_the_folder_of_tables(name, folder):
    assert grid() == 0
    path = Path("results/s/study.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "study": name}))
    with pytest.raises(UserError, match="study: is no name of a study"):
        load(path.parent)


@pytest.mark.parametrize("name", ["..", "../s", "/tmp/s", "a/b", "a\\b", "s\x00", "s\n", "~"])
def test_no_name_in_a_study_leaves_the_results_folder(name, folder, capsys):
    assert grid("--set", f"study={json.dumps(name)}") == 2
    method = json.dumps([{"name": "gce", "label": name}])
    assert grid("--set", f"axes.method={method}") == 2
    assert {path.name for path in folder.iterdir()} == {"study.yaml"}
