"""Whoever has lost the lease of a cell changes nothing of it any more, whenever it notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runners.cell import run_cell as module
from runners.cell.run_cell import run_cell
from runners.cell.run_context import RunContext
from runners.results import leases
from runners.results.leases import SILENT_S, Lease, LeaseLost
from runners.study.cell import Cell
from runners.system.processes import ProcessId
from tests.helpers.cells import CPU
from tests.helpers.interruptions import cell_of, context_in
from tests.helpers.lease_processes import silence

FAR = ProcessId("far", "0" * 12, 1, "17")


@pytest.fixture
def cell() -> Cell:
    return cell_of("cross_entropy")


@pytest.fixture
def place(tmp_path) -> RunContext:
    """Where checkpoints, before which leases are looked at as well, come at the end alone."""
    return context_in(tmp_path, checkpoint_every=100)


@pytest.fixture
def lost(cell, place, monkeypatch) -> Iterator[Lease]:
    """The lease of a process on another node that has been silent for long."""
    monkeypatch.setattr(leases, "HEARTBEAT_S", 1e6)
    with monkeypatch.context() as there:
        there.setattr(leases, "this_process", lambda: FAR)
        lease = place.study.leases.take(cell.name)
    silence(lease.path, SILENT_S + 10)
    yield lease
    lease.release()


def finish_here(cell: Cell, place: RunContext) -> dict[Path, bytes]:
    """Takes a cell over and runs it to its end; returns its files."""
    with place.study.leases.take(cell.name) as lease:
        run_cell(cell, place, CPU, lambda entry: None, lease.check)
    return files(cell, place)


def files(cell: Cell, place: RunContext) -> dict[Path, bytes]:
    folder = place.study.cell(cell.name).path
    return {path: path.read_bytes() for path in folder.iterdir()}


def notices(
    cell: Cell,
    place: RunContext,
    lost: Lease,
    on_epoch: Callable[[dict], None] = lambda entry: None,
) -> None:
    """Goes on as the holder of a lost lease, and is told so."""
    with pytest.raises(LeaseLost):
        run_cell(cell, place, CPU, on_epoch, lost.check)


def test_who_goes_on_in_an_epoch_adds_no_line_to_the_epochs(cell, place, lost):
    left = {}

    def suspended(entry: dict) -> None:
        assert entry["epoch"] <= 2
        if entry["epoch"] == 2:
            left.update(finish_here(cell, place))

    notices(cell, place, lost, suspended)
    assert files(cell, place) == left
    folder = place.study.cell(cell.name)
    assert folder.epochs.read_text().count("\n") == 4 and not folder.running_epochs.exists()


def test_who_goes_on_after_loading_removes_no_epochs(cell, place, lost, monkeypatch):
    left, load = {}, module.load_data

    def suspended(*arguments):
        monkeypatch.setattr(module, "load_data", load)
        left.update(finish_here(cell, place))
        return load(*arguments)

    monkeypatch.setattr(module, "load_data", suspended)
    notices(cell, place, lost)
    assert files(cell, place) == left and place.study.cell(cell.name).record in left


def test_who_goes_on_at_the_beginning_removes_no_file_that_is_being_written(cell, place, lost):
    with place.study.leases.take(cell.name):
        folder = place.study.cell(cell.name).path
        folder.mkdir()
        (folder / "record.json.tmp.another").write_text("{")
        notices(cell, place, lost)
        assert list(files(cell, place).values()) == [b"{"]
