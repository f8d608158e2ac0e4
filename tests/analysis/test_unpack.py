"""A packed study that is unpacked is the one that was packed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from analysis import pack_study, studies, unpack_study
from runners.results.provenance import ROOT


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    pack_study.pack(studies.load(finished.results / "s"), folder)
    return folder


def test_records_and_epochs_come_back_and_pack_to_the_same_bytes(packed, tmp_path):
    study = studies.load(packed)
    live = tmp_path / study.name
    assert unpack_study.unpack(study, live) == len(study.records) > 0
    (live / "study.json").write_text((packed / "study.json").read_text())
    back = studies.load(live)
    assert back.records == study.records and not back.packed and not back.damaged
    pack_study.pack(back, tmp_path / "again")
    lines = (tmp_path / "again" / "records.jsonl").read_text()
    assert lines == (packed / "records.jsonl").read_text()


def test_what_the_folder_has_stays(packed, tmp_path):
    study = studies.load(packed)
    name = next(cell["name"] for cell in study.cells if cell["key"] in study.records)
    own = tmp_path / "cells" / name / "record.json"
    own.parent.mkdir(parents=True)
    own.write_text("own")
    assert unpack_study.unpack(study, tmp_path) == len(study.records) - 1
    assert own.read_text() == "own"


def test_a_study_that_is_not_packed_is_refused(finished):
    command = [sys.executable, ROOT / "analysis" / "unpack_study.py", finished.results / "s"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and "is not packed" in run.stderr


def test_a_run_goes_on_from_unpacked_records(packed, finished, tmp_path):
    study = studies.load(packed)
    unpack_study.unpack(study, tmp_path / study.name)
    command = [sys.executable, ROOT / "runners" / "run_grid.py", finished.study]
    command += ["--results", tmp_path, "--status"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert f"{len(study.records)} done" in said, said
    assert json.loads((packed / "study.json").read_text())["study"] == study.name
