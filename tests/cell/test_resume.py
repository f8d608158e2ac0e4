"""A cell that was cut off resumes from its checkpoint to the same bits, wherever it was cut."""

from __future__ import annotations

import json

import pytest
import torch

from runners.cell.checkpoint import Checkpointer
from runners.cell.run_context import RunContext
from runners.results import provenance
from tests.helpers.cells import ready
from tests.helpers.interruptions import (
    EPOCHS,
    NAMES,
    assert_same,
    cell_of,
    context_in,
    cut_off,
    finish,
    interrupted,
    timeless,
)

KEEPS_FEATURES = [name for name in NAMES if name.startswith("metalabelnet")]
"""Methods that work otherwise where views do not change; each meets both kinds of views."""


@pytest.mark.parametrize(
    ("name", "augment"),
    [*((name, "none") for name in NAMES), *((name, "crop_flip") for name in KEEPS_FEATURES)],
)
def test_k_epochs_and_the_rest_are_all_epochs_for_every_k(name, augment, tmp_path):
    cell = cell_of(name, augment=augment)
    whole = ready(cell)
    history = whole.train()
    for k in range(1, EPOCHS + 1):
        assert_same(*interrupted(cell, tmp_path / f"{k}.pt", k, 1, 1e9), whole, history)


@pytest.mark.parametrize(
    ("name", "augment"),
    [*((name, "crop_flip") for name in NAMES), *((name, "none") for name in KEEPS_FEATURES)],
)
def test_a_checkpoint_between_two_steps_is_as_good(name, augment, tmp_path):
    cell = cell_of(name, augment=augment)
    whole = ready(cell)
    history = whole.train()
    per_epoch = whole.method.task.steps_per_epoch
    for step in range(2, EPOCHS * per_epoch, 3):
        path = tmp_path / f"{step}.pt"
        assert_same(*interrupted(cell, path, step, 1000, 0.0), whole, history)


@pytest.fixture
def place(tmp_path) -> RunContext:
    return context_in(tmp_path)


def test_a_record_does_not_tell_whether_its_cell_was_cut_off(place, tmp_path):
    cell = cell_of("metalabelnet")
    elsewhere = context_in(tmp_path / "other")
    whole, _ = finish(cell, elsewhere)
    folder = cut_off(cell, place, 3)
    assert folder.checkpoint.exists() and folder.finished_epochs() == 3
    record, _ = finish(cell, place)
    left_out = ("timing", "peak_memory_mb", "provenance", "epochs_sha256")
    assert {k: v for k, v in record.items() if k not in left_out} == {
        k: v for k, v in whole.items() if k not in left_out
    }
    lines = [json.loads(line) for line in folder.epochs.read_text().splitlines()]
    its_lines = elsewhere.study.cell(cell.name).epochs.read_text().splitlines()
    assert timeless(lines) == timeless([json.loads(line) for line in its_lines])
    assert (record["provenance"]["attempts"], whole["provenance"]["attempts"]) == (2, 1)
    assert not list(folder.path.glob("checkpoint*"))


def test_a_record_names_all_processors_of_its_attempts_in_order(place, monkeypatch):
    cell = cell_of("cross_entropy")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SSE9")
        cut_off(cell, place, 2)
    cut_off(cell, place, 3)
    record, _ = finish(cell, place)
    here = f"{provenance.processor()} ({torch.backends.cpu.get_cpu_capability()})"
    there = f"{provenance.processor()} (SSE9)"
    assert record["provenance"]["processor"] == f"{there}, then {here}"
    assert record["provenance"]["device"] == "cpu"


def test_lines_of_epochs_after_the_checkpoint_are_cut(place):
    cell = cell_of("cross_entropy")
    folder = cut_off(cell, place, 3)
    lines = folder.running_epochs
    with lines.open("a") as file:
        file.write('{"epoch": 99, "half a li')
    cut_off(cell, place, 2)  # killed again, before it came as far
    assert [json.loads(line)["epoch"] for line in lines.read_text().splitlines()] == [1, 2]


def test_a_result_stays_whole_until_the_run_that_replaces_it_has_ended(place):
    cell = cell_of("cross_entropy")
    finish(cell, place)
    folder = place.study.cell(cell.name)
    before = {path: path.read_bytes() for path in (folder.record, folder.epochs, folder.samples)}
    cut_off(cell, place, 3)  # as --rerun-stale does
    assert {path: path.read_bytes() for path in before} == before
    assert folder.finished_epochs() == 3
    finish(cell, place)
    assert folder.finished_epochs() == 0 and not folder.running_epochs.exists()


def test_checkpoints_come_every_so_many_epochs_and_minutes(tmp_path):
    cell = cell_of("cross_entropy")
    for every, minutes, expected in ((1, 10, [1, 2, 3, 4]), (3, 10, [3, 4]), (9, 10, [4])):
        saved: list[int] = []
        checkpointer = Checkpointer(tmp_path / f"{every}.pt", {}, every, 60 * minutes)
        save = checkpointer.save

        def note(method, sets, standing, saved=saved, save=save):
            saved.append(len(standing.history))
            save(method, sets, standing)

        checkpointer.save = note
        ready(cell).train(checkpointer=checkpointer)
        assert saved == expected
