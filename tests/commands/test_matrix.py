"""Many cells are shown as a matrix: methods by settings, with seeds counted and states marked."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from runners.commands.request import Request
from runners.monitor.plan_text import describe
from runners.monitor.status import describe_status
from runners.results.leases import LeaseInfo
from runners.results.plan import Plan, make_plan
from runners.results.store import CellStatus, State, StudyFolder
from runners.run_grid import main, parser
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells
from tests.helpers.cells import make_cell


def grid(methods: int, noises: int, seeds: int, dataset: str = "simulated") -> list[Cell]:
    cell = make_cell("cross_entropy")
    return [
        replace(cell, label=f"m{m}", noise_slug=f"n{n}", seed=s, dataset=dataset)
        for m in range(methods)
        for n in range(noises)
        for s in range(seeds)
    ]


def plan_of(chosen: list[Cell], states: dict[int, State], folder: Path) -> Plan:
    """The plan of these cells, some of them (by position) in another state than missing."""
    statuses = {
        chosen[i].name: CellStatus(state, accuracy=0.5, seconds=1.0) for i, state in states.items()
    }
    running = {chosen[i].name for i, state in states.items() if state == State.RUNNING}
    plan = make_plan(chosen, StudyFolder(folder, "s"))
    leases = {name: LeaseInfo(None, 0.0) for name in running}
    return replace(plan, statuses={**plan.statuses, **statuses}, leases=leases)


def test_each_place_counts_seeds_and_marks_what_is_not_simply_missing_or_done(tmp_path):
    states = {0: State.DONE, 1: State.DONE, 2: State.FAILED, 3: State.STALE, 6: State.DAMAGED}
    states |= {7: State.QUEUED, 9: State.RUNNING, 10: State.LOST}
    plan = plan_of(grid(4, 3, 3), states, tmp_path)
    lines = describe(plan, 2, every_cell=False).splitlines()
    assert lines[:5] == [
        "       n0     n1     n2",
        "m0   2/3!   1/3~  0/3#+",
        "m1  0/3?>    0/3    0/3",
        "m2    0/3    0/3    0/3",
        "m3    0/3    0/3    0/3",
    ]
    for sign in ("! failed", "? lost", "# damaged", "~ stale", "> running", "+ queued", "--cells"):
        assert sign in lines[5], sign
    assert lines[6] == "simulated: 512 training and 256 test images, 4 classes"
    assert lines[7].startswith("  8x8, small_cnn, batches of ")
    assert lines[8].startswith("36 cells: ") and lines[9].startswith("missing: ")
    said = describe_status(plan, StudyFolder(tmp_path, "s"), "python x.py", every_cell=False)
    assert said.splitlines()[:5] == lines[:5] and "watch it: python x.py --watch" in said


def test_long_names_of_settings_are_numbered_and_many_columns_wrapped(tmp_path):
    plan = plan_of(grid(2, 40, 1, "a") + grid(2, 1, 1, "a_data_set_with_a_long_name"), {}, tmp_path)
    said = describe(plan, 2, every_cell=False)
    assert "[41] a_data_set_with_a_long_name n0" in said
    lines = said.splitlines()
    assert max(map(len, lines)) <= 100 and sum(line.startswith("m0 ") for line in lines) == 3


@pytest.mark.parametrize("option", ["--plan", "--status"])
def test_a_matrix_is_for_more_than_thirty_cells_and_every_cell_is_there_if_asked(
    option, tmp_path, capsys
):
    line = ["benchmark.yaml", "--results", str(tmp_path), option]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "__s10__" not in said and said.count("0/5") == 21
    assert main([*line, "--cells"]) == 0
    assert capsys.readouterr().out.count("__s10__") == 21
    assert main([*line, "--only", "method=gce"]) == 0
    assert capsys.readouterr().out.count("__s10__") == 3


def test_ten_thousand_cells_take_seconds(tmp_path):
    study = load_study(Path("benchmark.yaml"), ["axes.seed=480", "protocol.hparams=default"])
    options = parser().parse_args(["benchmark.yaml", "--results", str(tmp_path)])
    began = time.monotonic()
    request = Request(study, options, cells(study))
    assert "0/480" in describe(request.look()[0], 2, every_cell=False)
    assert len(request.selected) > 10_000 and time.monotonic() - began < 20
