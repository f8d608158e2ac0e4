"""Tables say what the records say, in Markdown, LaTeX and CSV."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import criteria, formats, frames, studies, tables
from tests.helpers.records import HARDER, SYMMETRIC, cell, record, write_study
from tests.helpers.tables import one_column, table_of, ten_records

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("criterion", ["last", "noisy_val"])
def test_ten_fixed_records_give_the_golden_tables(tmp_path, criterion):
    study = ten_records(tmp_path)
    frame = frames.cells(study)
    table = tables.build(study, frame, [criterion])
    written = {
        "md": formats.markdown(table),
        "tex": formats.latex(table),
        "csv": formats.csv(tables.tidy(study, frame, criterion)),
    }
    for suffix, text in written.items():
        golden = GOLDEN / f"accuracy_{criterion}.{suffix}"
        assert text == golden.read_text(encoding="utf-8"), golden.name


def test_mean_and_sample_standard_deviation_are_in_percent(tmp_path):
    table = table_of(one_column(tmp_path, {"gce": [0.80, 0.81, 0.82]}))
    assert table.rows[0][1][0].text == "81.0 ± 1.0"
    assert "n = 3 seeds, ± is the sample standard deviation" in table.notes[0]


def test_a_single_seed_has_no_spread(tmp_path):
    table = table_of(one_column(tmp_path, {"gce": [0.8]}, seeds=1))
    assert table.rows[0][1][0].text == "80.0"
    assert "n = 1 seed" in table.notes[0]


def test_missing_cells_show_as_a_fraction_of_those_planned(tmp_path):
    table = table_of(one_column(tmp_path, {"gce": [0.80, 0.82], "mw_net": []}))
    assert [row[1][0].text for row in table.rows] == ["81.0 ± 1.4 (2/3)", "\N{EN DASH} (0/3)"]


def test_the_best_complete_mean_is_bold_with_its_ties(tmp_path):
    values = {
        "cross_entropy": [0.8001, 0.8001, 0.8001],
        "gce": [0.8004, 0.8004, 0.8004],
        "mw_net": [0.79, 0.79, 0.79],
        "fine_tune": [0.95, 0.95],
    }
    table = table_of(one_column(tmp_path, values))
    assert [row[1][0].best for row in table.rows] == [True, True, False, False]


def test_a_ceiling_is_marked_and_never_the_best(tmp_path):
    table = table_of(one_column(tmp_path, {"gce": [0.8, 0.8, 0.8], "oracle": [0.9, 0.9, 0.9]}))
    assert [row[1][0].best for row in table.rows] == [True, False]
    assert [row[0] for row in table.rows] == ["GCE", "Oracleᵒ"]
    assert any("ᵒ is told all true labels: a ceiling, never bold" in note for note in table.notes)


def test_unequal_numbers_of_seeds_are_said_in_every_entry(tmp_path):
    cells = [cell("gce", SYMMETRIC, s) for s in range(3)] + [cell("mw_net", SYMMETRIC, 0)]
    made = [record(planned, 0.8) for planned in cells]
    study = studies.load(write_study(tmp_path / "made", cells, made, packed=True))
    texts = [row[1][0].text for row in table_of(study).rows]
    assert texts == ["80.0 ± 0.0 (n = 3)", "80.0 (n = 1)"]


def test_what_is_not_in_the_grid_stays_empty(tmp_path):
    cells = [cell("gce", SYMMETRIC, 0), cell("gce", HARDER, 0), cell("mw_net", SYMMETRIC, 0)]
    made = [record(planned, 0.8) for planned in cells]
    study = studies.load(write_study(tmp_path / "made", cells, made, packed=True))
    assert [entry.text for entry in table_of(study).rows[1][1]] == ["80.0", ""]


def test_several_data_sets_are_named_in_the_headings(tmp_path):
    cells = [cell("gce", SYMMETRIC, 0, dataset=name) for name in ("simulated", "cifar10")]
    made = [record(planned, 0.8) for planned in cells]
    study = studies.load(write_study(tmp_path / "made", cells, made, packed=True))
    headings = [column.heading for column in table_of(study).columns]
    assert headings == ["simulated, Symmetric 0.4", "cifar10, Symmetric 0.4"]


def test_balanced_accuracy_and_the_worst_class_come_from_the_confusion_of_the_criterion(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    counts = {"last": [[6, 2], [0, 4]], "noisy_val": [[8, 0], [3, 1]]}
    made = record(planned, 10 / 12, 0.75, confusion=counts)
    study = studies.load(write_study(tmp_path / "made", [planned], [made], packed=True))
    for metric, criterion, expected in (
        ("accuracy", "last", "83.3"),
        ("balanced_accuracy", "last", "87.5"),
        ("worst_class", "last", "75.0"),
        ("balanced_accuracy", "noisy_val", "62.5"),
        ("worst_class", "noisy_val", "25.0"),
    ):
        table = tables.build(study, frames.cells(study, metric), [criterion], metric)
        assert table.rows[0][1][0].text == expected
        assert metric.partition("_")[0] in table.title


ODD = [[], [[1]], [[1, 2]], [[0, 0], [0, 0]], [[-1, 2], [1, 1]], ["ab"]]


@pytest.mark.parametrize("counts", ODD)
def test_a_confusion_that_is_none_gives_no_value(counts):
    made = record(cell("gce", SYMMETRIC, 0), 0.8, confusion={"last": counts})
    worst = criteria.value(made, "last", metric="worst_class")
    assert worst == 1.0 if counts == [[1]] else math.isnan(worst)


def test_latex_escapes_what_names_may_hold(tmp_path):
    shown = "[a]_b & 50% #1 $x^2$ {~} \\end"
    planned = cell("gce", SYMMETRIC, 0, display=shown)
    study = studies.load(
        write_study(tmp_path / "made", [planned], [record(planned, 0.8)], packed=True)
    )
    text = formats.latex(table_of(study))
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    assert text.isascii()
    assert body.count(r"\\") == 1
    assert len(re.findall(r"(?<!\\)&", body)) == 1
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert not re.search(r"(?<!\\)[#%_]", body)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "analysis" / "make_tables.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


def test_the_command_prints_the_tables_and_writes_them_beside_the_study(tmp_path):
    study = ten_records(tmp_path / "results")
    done = run("--results", tmp_path / "results")
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (study.folder / "tables").iterdir())
    names = [f"accuracy_{c}.{s}" for c in ("last", "noisy_val") for s in ("csv", "md", "tex")]
    for c in ("last", "noisy_val"):
        names += [f"statistics_accuracy_{c}.md", f"paired_accuracy_{c}.csv"]
        names.append(f"overall_accuracy_{c}.csv")
    assert written == sorted([*names, "accuracy.md", "findings_accuracy.md"])
    assert (GOLDEN / "accuracy_last.md").read_text(encoding="utf-8") in done.stdout
    combined = (study.folder / "tables" / "accuracy.md").read_text(encoding="utf-8")
    assert "Symmetric 0.4: last | Symmetric 0.4: noisy val" in combined


def test_a_study_without_finished_cells_is_a_table_of_zeros(tmp_path):
    folder = write_study(tmp_path / "made", [cell("gce", SYMMETRIC, s) for s in range(3)], [])
    done = run(folder, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "\N{EN DASH} (0/3)" in done.stdout
    assert "no cell of 3 is finished yet" in done.stdout
    assert not (folder / "tables").exists()


def test_a_criterion_without_values_is_left_out_with_a_sentence(tmp_path):
    study = ten_records(tmp_path)
    done = run(study.folder, "--criterion", "clean_val", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "No record of study golden has the criterion clean_val" in done.stdout
    assert not (tmp_path / "out" / "accuracy_clean_val.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--criterion", "lats"], "'lats' is no criterion; did you mean last?"),
        (["--results", "nowhere"], "no study found under nowhere"),
        (["nowhere"], "nowhere is no study folder"),
    ],
)
def test_bad_arguments_are_one_sentence_and_exit_code_2(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
