"""`analysis/compare_runs.py` where cells have no record: missing, failed, damaged, or none."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.helpers.records import write_study
from tests.helpers.study_pairs import CELLS, FIRST, SECOND, compare, study


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of one study with the same results."""
    return study(tmp_path / "a" / "s"), study(tmp_path / "b" / "s")


def test_a_cell_without_a_record_on_one_side_is_a_difference(two):
    shutil.rmtree(two[1] / "cells" / SECOND)
    assert compare(*two) == (1, [f"s: {SECOND}: missing in B", "1 of 3 cells differs"])


def test_what_both_have_run_is_compared_and_what_neither_has_is_counted(two):
    for folder in two:
        (folder / "cells" / SECOND / "record.json").unlink()
    code, said = compare(*two)
    assert (code, said[0]) == (0, "2 cells are equal, bit for bit")
    assert said[-1] == "Not compared, as neither A nor B has run them: 1 of 3 cells."


def test_the_time_of_a_comparison_is_linear_in_the_number_of_cells(tmp_path):
    """A comparison that looks at all cells for each of 20,000 takes a minute."""
    cells = [CELLS[0], *({**CELLS[0], "key": f"{i:064x}", "name": f"n{i}"} for i in range(20_000))]
    one, other = (write_study(tmp_path / side / "s", cells, []) for side in "ab")
    whole = study(tmp_path / "whole")
    for folder in (one, other):
        shutil.copytree(whole / "cells" / FIRST, folder / "cells" / FIRST)
    began = time.monotonic()
    code, said = compare(one, other)
    assert (code, said[0]) == (0, "1 cell is equal, bit for bit")
    assert time.monotonic() - began < 10


def test_a_failed_cell_is_a_difference_with_its_reason_even_where_both_failed_alike(two):
    for folder in two:
        place = folder / "cells" / SECOND
        (place / "record.json").unlink()
        (place / "failed.json").write_text(json.dumps({"reason": "loss is nan"}))
    code, said = compare(*two)
    assert code == 1
    assert said[0] == f"s: {SECOND}: failed in A (loss is nan), failed in B (loss is nan)"


@pytest.mark.parametrize("sides", ["ab", "a", "b"])
@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("failed.json", '{"reason": "loss is nan"}', "failed in {} (loss is nan)"),
        ("record.json", '{"', "damaged in {}"),
        ("record.json", '{"schema": 1}', "of another schema in {}"),
    ],
)
def test_cells_that_have_ended_badly_are_a_difference_also_where_no_other_cell_has_ended(
    sides, file, content, found, tmp_path
):
    a, b = (write_study(tmp_path / side / "s", CELLS[:1], []) for side in "ab")
    for side in sides:
        place = tmp_path / side / "s" / "cells" / FIRST
        place.mkdir(parents=True)
        (place / file).write_text(content)
    words = ["missing in A", "missing in B"]
    for side in sides:
        words["ab".index(side)] = found.format(side.upper())
    assert compare(a, b) == (1, [f"s: {FIRST}: {', '.join(words)}", "1 of 1 cell differs"])


def test_folders_in_which_no_cell_has_ended_are_an_error(tmp_path):
    for side in "ab":
        write_study(tmp_path / side / "s", CELLS, [])
        (tmp_path / side / "empty").mkdir()
    code, (sentence,) = compare(tmp_path / "a", tmp_path / "b")
    assert code == 2 and "has a cell that has ended" in sentence
    code, (sentence,) = compare(tmp_path / "a" / "empty", tmp_path / "b" / "empty")
    assert code == 2 and "holds none" in sentence
    code, (sentence,) = compare(tmp_path / "a", tmp_path / "nowhere")
    assert code == 2 and "there is no folder" in sentence


def test_a_finished_study_differs_from_one_that_has_not_begun(two):
    shutil.rmtree(two[1] / "cells")
    assert compare(*two) == (1, [f"s: {FIRST}: missing in B", "3 of 3 cells differ"])
