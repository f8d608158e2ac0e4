"""What is submitted is on disk before, and can be read however the submission went."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from runners.slurm import manifest
from runners.slurm.manifest import Sent, plan, read, read_all

ARRAYS = [[["a", "b"], ["c"]], [["d"]]]


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "results" / "my.study-1"
    folder.mkdir(parents=True)
    return folder


def test_a_plan_is_on_disk_with_its_cells_and_unique_names_before_anything_is_sent(study):
    made = plan(study, ARRAYS)
    assert read(made.folder) == made
    short = re.fullmatch(r"\d{8}T\d{6}Z-([0-9a-f]{8})", made.folder.name)[1]
    assert made.folder.parent == study / "slurm"
    assert [array.name for array in made.arrays] == [f"my.study-1-{short}-{n}" for n in (0, 1)]
    assert [array.tasks for array in made.arrays] == [(("a", "b"), ("c",)), (("d",),)]
    assert {array.state for array in made.arrays} == {Sent.PLANNED}
    assert datetime.now(UTC) - made.created < timedelta(minutes=1)
    assert plan(study, ARRAYS).folder != made.folder


def test_ids_come_one_by_one_and_name_the_elements(study):
    made = plan(study, ARRAYS)
    assert [array.task_id(0) for array in made.arrays] == [None, None]
    made = made.noting(made.arrays[0].name, Sent.SENDING)
    assert made.arrays[0].noted > made.arrays[1].noted == made.created
    made = made.noting(made.arrays[0].name, Sent.SUBMITTED, "12")
    made = made.noting(made.arrays[1].name, Sent.SENDING)
    made = made.noting(made.arrays[1].name, Sent.SUBMITTED, "13")
    assert read(made.folder) == made
    named = [(array.task_id(number), cells) for array, number, cells in made.tasks()]
    assert named == [("12_0", ("a", "b")), ("12_1", ("c",)), ("13", ("d",))]


def test_what_two_processes_note_of_different_arrays_is_kept(study):
    made = plan(study, ARRAYS)
    made.noting(made.arrays[0].name, Sent.SUBMITTED, "12")
    both = made.noting(made.arrays[1].name, Sent.REFUSED, words="invalid partition")
    assert [(a.state, a.id, a.words) for a in both.arrays] == [
        (Sent.SUBMITTED, "12", ""),
        (Sent.REFUSED, None, "invalid partition"),
    ]


def test_all_submissions_are_read_in_the_order_of_their_times(study, monkeypatch):
    made = []
    for second in (3, 1, 2):

        class Clock(datetime):
            at = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)

            @classmethod
            def now(cls, zone=None):
                return cls.at

        monkeypatch.setattr(manifest, "datetime", Clock)
        made.append(plan(study, ARRAYS))
    found = read_all(study).readable
    assert [each.created.second for each in found] == [1, 2, 3]
    assert set(found) == set(made)


def test_submissions_of_the_same_second_are_in_order_too(study):
    made = [plan(study, ARRAYS) for _ in range(20)]
    assert list(read_all(study).readable) == made


def test_half_made_submissions_count_for_nothing_and_damaged_ones_are_named(study):
    good = plan(study, ARRAYS)
    (study / "slurm" / "20260101T000000Z-00000000").mkdir()
    left = study / "slurm" / "20260101T000000Z-11111111"
    left.mkdir()
    (left / "manifest.json.tmp123").write_text("{")
    broken = []
    text = (good.folder / "manifest.json").read_text()
    for number, content in enumerate(
        ["", "{", "[]", "{}", "null", text.replace('"schema": 1', '"schema": 2'),
         text.replace("planned", "sent"), text.replace('"tasks"', '"task"'), text[:-40]]
    ):  # fmt: skip
        path = study / "slurm" / f"20260102T00000{number}Z-22222222" / "manifest.json"
        path.parent.mkdir()
        path.write_text(content)
        broken.append(path)
    found = read_all(study)
    assert found.readable == (good,) and list(found.unreadable) == broken


def test_a_study_without_submissions_has_none(study):
    assert read_all(study) == manifest.Manifests((), ())


def test_a_submitter_that_dies_while_it_writes_leaves_the_old_manifest(study, monkeypatch):
    made = plan(study, ARRAYS)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        made.noting(made.arrays[0].name, Sent.SUBMITTED, "12")
    assert read(made.folder) == made
    with pytest.raises(OSError, match="No space left"):
        plan(study, ARRAYS)
    assert read_all(study).readable == (made,)


def test_ten_thousand_cells_are_noted_in_a_second(study):
    names = [
        f"fashion_mnist__symmetric-0.4__metalabelnet-beta0.01__s{i}__{i:08x}" for i in range(10_000)
    ]
    start = time.perf_counter()
    made = plan(study, [[[n] for n in names[i : i + 1000]] for i in range(0, 10_000, 1000)])
    for number, array in enumerate(made.arrays):
        made = made.noting(array.name, Sent.SUBMITTED, str(number))
    assert time.perf_counter() - start < 5
    size = (made.folder / "manifest.json").stat().st_size
    assert json.loads((made.folder / "manifest.json").read_text())["arrays"][9]["id"] == "9"
    assert size < 3_000_000
