"""Runs that are cut off after a checkpoint, and the runs that go on from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import methods
from methods.base import Method
from runners.cell.checkpoint import Checkpointer
from runners.cell.run_cell import run_cell
from runners.cell.run_context import RunContext
from runners.results.store import CellFolder, StudyFolder
from runners.study.cell import Cell
from tests.helpers.cells import CPU, Ready, make_cell, ready, same_state

EPOCHS = 4
LIKE_CROSS_ENTROPY = {"bootstrap", "forward", "label_smoothing", "nce_rce", "oracle", "sce"}
"""Losses without any state, for which cross-entropy stands."""
NAMES = [*(n for n in methods.names() if n not in LIKE_CROSS_ENTROPY), "gce-truncated"]


class CutOff(BaseException):
    """Stands for a SIGKILL: no code of the suite catches it."""


class Cutting(Checkpointer):
    """A checkpoint that cuts the training off after it was written for the n-th time."""

    def __init__(self, *arguments, after: int) -> None:
        super().__init__(*arguments)
        self.left = after

    def save(self, *state) -> None:
        super().save(*state)
        self.left -= 1
        if self.left == 0:
            raise CutOff


def cell_of(name: str, **protocol) -> Cell:
    """A cell in which every stage of a method, and every pruning, comes into play."""
    hparams = {"truncated": True, "k": 0.25} if name == "gce-truncated" else {}
    shared = {"epochs": EPOCHS, "batch_size": 100, "augment": "crop_flip"}
    return make_cell(name.partition("-")[0], hparams=hparams, **{**shared, **protocol})


def timeless(history: list[dict]) -> list[dict]:
    return [{k: v for k, v in entry.items() if "seconds" not in k} for entry in history]


def interrupted(
    cell: Cell, path: Path, after: int, every: int, seconds: float, device: torch.device = CPU
) -> tuple:
    """A run that is cut off after so many checkpoints, and the history of the run that goes on."""
    settings = (path, {"key": cell.key}, every, seconds)
    with pytest.raises(CutOff):
        ready(cell, device=device).train(checkpointer=Cutting(*settings, after=after))
    second = ready(cell, device=device)
    return second, second.train(checkpointer=Checkpointer(*settings))


def assert_same(one: Ready, history: list[dict], other: Ready, its_history: list[dict]) -> None:
    assert timeless(history) == timeless(its_history)
    assert same_state(one.method, other.method)
    mine, theirs = one.tracker.values, other.tracker.values
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for get in (Method.corrected_labels, Method.clean_probability):
        mine, theirs = (getattr(run.method.eval(), get.__name__)() for run in (one, other))
        assert mine is theirs is None or torch.equal(mine, theirs)


def context_in(results: Path, **settings) -> RunContext:
    """The place of a study `s` with its folder."""
    study = StudyFolder(results, "s")
    study.prepare({})
    return RunContext(study, **settings)


def cut_off(cell: Cell, place: RunContext, epoch: int) -> CellFolder:
    """Runs a cell to within an epoch of its training; returns its folder."""

    def stop(entry: dict) -> None:
        if entry["epoch"] == epoch:
            raise CutOff

    with pytest.raises(CutOff):
        run_cell(cell, place, CPU, stop)
    return place.study.cell(cell.name)


def finish(cell: Cell, place: RunContext) -> tuple[dict, list[int]]:
    """Runs a cell to its end; returns its record and the epochs that it was told of."""
    seen: list[int] = []
    return run_cell(cell, place, CPU, lambda entry: seen.append(entry["epoch"])), seen
