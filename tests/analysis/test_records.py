"""Analysis counts exactly the intact records of the cells that a study names, in either form."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis import frames, studies
from runners.results import provenance
from runners.system.errors import UserError
from tests.helpers.records import (
    ASYMMETRIC,
    CLEAN,
    METHODS,
    SYMMETRIC,
    cell,
    epoch_lines,
    record,
    write_study,
)

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["runners/cell/seeds.py"]


def of_today() -> dict[str, object]:
    """The provenance of a record that today's code has made."""
    return {"sources": SOURCES, "fingerprint": provenance.fingerprint(SOURCES)}


def live_study(folder: Path, **changes) -> tuple[Path, list[dict]]:
    """Three cells of GCE, all finished, with curves."""
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(3)]
    made = [record(planned, 0.8, 0.81, provenance=of_today(), **changes) for planned in cells]
    epochs = {planned["key"]: epoch_lines(planned, 0.8, 0.81) for planned in cells}
    return write_study(folder, cells, made, epochs), cells


def pack(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "analysis" / "pack_study.py"), str(folder)]
    return subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, check=False
    )


def test_a_packed_study_says_the_same_as_the_live_one(tmp_path):
    folder, _ = live_study(tmp_path / "made")
    done = pack(folder, tmp_path / "packed")
    assert done.returncode == 0, done.stderr
    live, packed = studies.load(folder), studies.load(tmp_path / "packed")
    assert packed.packed and not live.packed
    assert packed.records == live.records
    assert len(live.records) == 3
    assert not live.stale and not packed.stale
    assert frames.cells(packed).equals(frames.cells(live))
    assert frames.epochs(packed).equals(frames.epochs(live))
    assert "run" not in packed.config
    lines = (tmp_path / "packed" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert [len(json.loads(line)["epochs"]) for line in lines] == [12, 12, 12]


def test_a_cell_of_other_code_is_stale_and_stays_so_when_packed(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(2)]
    old = of_today() | {"fingerprint": "code-of-yesterday"}
    made = [record(cells[0], 0.8, provenance=old), record(cells[1], 0.8, provenance=of_today())]
    folder = write_study(tmp_path / "made", cells, made)
    assert studies.load(folder).stale == {cells[0]["key"]}
    assert pack(folder, tmp_path / "packed").returncode == 0
    assert studies.load(tmp_path / "packed").stale == {cells[0]["key"]}


def test_a_cell_whose_code_is_gone_is_stale(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    gone = {"sources": ["methods/gone.py"], "fingerprint": "code-of-yesterday"}
    folder = write_study(tmp_path / "made", [planned], [record(planned, 0.8, provenance=gone)])
    assert studies.load(folder).stale == {planned["key"]}


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_record_is_not_counted_and_named(tmp_path, packed):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(2)]
    made = [record(planned, 0.8) for planned in cells]
    made[1]["accuracy"]["last"]["test"] = 0.99
    study = studies.load(write_study(tmp_path / "made", cells, made, packed=packed))
    assert list(study.records) == [cells[0]["key"]]
    assert study.damaged == [cells[1]["name"]]
    assert any(cells[1]["name"] in sentence for sentence in study.sentences())


@pytest.mark.parametrize("packed", [False, True])
def test_a_record_of_another_schema_is_named_as_such_and_never_read(tmp_path, packed):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(2)]
    made = [record(cells[0], 0.8), record(cells[1], 0.8, schema=1)]
    study = studies.load(write_study(tmp_path / "made", cells, made, packed=packed))
    assert list(study.records) == [cells[0]["key"]]
    assert (study.other_schema, study.damaged) == ([cells[1]["name"]], [])
    sentence = f"Not counted because of another schema than 2: {cells[1]['name']}."
    assert sentence in study.sentences()


def test_a_line_of_another_schema_is_named_by_its_number_where_its_key_means_nothing(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    folder = write_study(tmp_path / "made", [planned], [record(planned, 0.8)], packed=True)
    with (folder / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"schema": 1, "key": ["gce", 0]}\n')
    study = studies.load(folder)
    assert study.other_schema == ["records.jsonl line 2"]
    assert (len(study.records), study.others, study.damaged) == (1, 0, [])


def test_half_a_record_is_damaged_not_an_exception(tmp_path):
    folder, cells = live_study(tmp_path / "made")
    path = folder / "cells" / cells[0]["name"] / "record.json"
    path.write_bytes(path.read_bytes()[:100] + b"\xff")
    assert studies.load(folder).damaged == [cells[0]["name"]]


@pytest.mark.parametrize(("packed", "kind"), [(False, "cell folder"), (True, "line")])
def test_cells_that_the_study_does_not_name_are_left_out_with_a_sentence(tmp_path, packed, kind):
    planned, other = cell("gce", SYMMETRIC, 0), cell("mw_net", SYMMETRIC, 0)
    made = [record(planned, 0.8), record(other, 0.9)]
    study = studies.load(write_study(tmp_path / "made", [planned], made, packed=packed))
    assert list(study.records) == [planned["key"]]
    assert study.others == 1
    assert any(f"holds 1 other {kind} " in sentence for sentence in study.sentences())


def test_planned_cells_without_a_record_are_missing_not_others(tmp_path):
    folder, cells = live_study(tmp_path / "made")
    (folder / "cells" / cells[0]["name"] / "record.json").rename(folder / "elsewhere.json")
    study = studies.load(folder)
    assert (len(study.records), study.others, study.damaged) == (2, 0, [])
    assert any("2 of its 3 cells" in sentence for sentence in study.sentences())


def test_a_result_is_found_under_its_former_label(tmp_path):
    before = cell("gce", SYMMETRIC, 0)
    folder = write_study(tmp_path / "made", [before], [record(before, 0.8)])
    after = cell("gce", SYMMETRIC, 0, label="gce-plain")
    assert after["key"] == before["key"] and after["name"] != before["name"]
    head = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    (folder / "study.json").write_text(json.dumps(head | {"cells": [after]}), encoding="utf-8")
    study = studies.load(folder)
    assert list(study.records) == [after["key"]]
    assert study.others == 0


def _swapped(lines: list[str]) -> list[str]:
    return [lines[1], lines[0], *lines[2:]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: ['{"epoch": 1, "te'],
        lambda lines: lines[:-1],
        _swapped,
        lambda lines: [lines[0].replace('"lr": 0.05', '"lr": 0.06'), *lines[1:]],
    ],
)
def test_epochs_that_are_not_as_written_cost_the_curve_not_the_result(tmp_path, damage):
    folder, cells = live_study(tmp_path / "made")
    path = folder / "cells" / cells[0]["name"] / "epochs.jsonl"
    path.write_text("".join(f"{line}\n" for line in damage(path.read_text().splitlines())))
    study = studies.load(folder)
    assert len(study.records) == 3
    assert set(frames.epochs(study)["seed"]) == {1, 2}
    assert any(cells[0]["name"] in sentence for sentence in study.sentences())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no readable study.json"),
        ("{", "no valid JSON"),
        ('{"schema": 1}', "no study file of schema 2"),
        ('{"schema": 2, "study": "a", "config": {}}', "study.json: cells: field required"),
        ('{"schema": 2, "study": "a", "config": {}, "cells": [{}]}', r"cells\.0\.key: field"),
    ],
)
def test_a_folder_that_is_no_study_is_one_sentence(tmp_path, text, message):
    if text is not None:
        (tmp_path / "study.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        studies.load(tmp_path)


def test_reference_speed_and_tuning_are_never_taken_unasked(tmp_path):
    for name in ("b", "a", "reference", "speed", "tuning", "reference/a", "tuning/a"):
        write_study(tmp_path / name, [], [])
    (tmp_path / "no_study").mkdir()
    assert studies.find(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_packing_refuses_what_has_no_records(tmp_path):
    folder = write_study(tmp_path / "made", [cell("gce", SYMMETRIC, 0)], [])
    done = pack(folder, tmp_path / "packed")
    assert done.returncode == 2
    assert "has no finished cell to pack" in done.stderr
    assert not (tmp_path / "packed").exists()


def test_the_cell_frame_holds_every_planned_cell_in_the_order_of_the_grid(tmp_path):
    cells = [cell(method, noise, 0) for noise in (ASYMMETRIC, CLEAN) for method in METHODS]
    study = studies.load(write_study(tmp_path / "made", cells, [record(cells[1], 0.8)]))
    frame = frames.cells(study)
    assert list(frame["label"]) == 2 * list(METHODS)
    assert list(frame["done"]) == [planned is cells[1] for planned in cells]
    assert frame.loc[1, "last"] == 0.8
    assert frame.loc[1, "realised_rate"] == 0.2
    assert set(frame.loc[frame["noise"] == "clean", "rate"]) == {0.0}


def test_two_thousand_records_load_in_seconds(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(2000)]
    confusion = [[1.0 / (row + 1)] * 10 for row in range(10)]
    made = [record(planned, 0.8, confusion=confusion) for planned in cells]
    folder = write_study(tmp_path / "made", cells, made, packed=True)
    began = time.perf_counter()
    assert len(frames.cells(studies.load(folder))) == 2000
    assert time.perf_counter() - began < 10.0


def test_a_packed_line_with_other_spaces_reads_the_same(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    lines = {planned["key"]: epoch_lines(planned, 0.8, 0.8)}
    folder = write_study(tmp_path / "made", [planned], [record(planned, 0.8)], lines, packed=True)
    path = folder / "records.jsonl"
    for separators in ((", ", ": "), (",", ":")):  # the second is how pack_study.py writes
        path.write_text(json.dumps(json.loads(path.read_text()), separators=separators) + "\n")
        study = studies.load(folder)
        assert list(study.records) == [planned["key"]]
        for _ in range(2):
            assert study.epochs(planned) == lines[planned["key"]]


def test_epochs_of_a_packed_line_that_are_cut_off_leave_the_record(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    made = record(planned, 0.8)
    live = write_study(tmp_path / "made", [planned], [made])
    assert pack(live, tmp_path / "packed").returncode == 0
    path = tmp_path / "packed" / "records.jsonl"
    path.write_text(path.read_text().rstrip()[:-2] + "\n")
    study = studies.load(tmp_path / "packed")
    assert list(study.records) == [planned["key"]]
    assert study.epochs(planned) == [] and study.without_curves == [planned["name"]]
