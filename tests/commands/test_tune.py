"""Tuning: the same budget for all, judged on development images, values where studies find them."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import methods
from methods.declaration import Choice
from runners.results.store import StudyFolder
from runners.study.config import load_study
from runners.study.grid import cells
from runners.study.tuned import TUNED
from runners.system.canonical import RESULTS_VERSION
from runners.tuning.draws import draws, tuning_study
from runners.tuning.files import finished_draws, write_cells, write_values
from tests.helpers.cli import ROOT, write_study
from tests.helpers.tuning import EARLIER, EARLIER_RANGES, METHODS, SETTINGS, Tuned, tune


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Tuned:
    folder = tmp_path_factory.mktemp("tuning")
    write_study(folder / "study.yaml", METHODS, epochs=1)
    (folder / "out").mkdir()
    (folder / "out" / "simulated.yaml").write_text("mw_net: {lr: 0.002}\ngce: {q: 0.123}\n")
    (folder / "out" / "simulated_draws.csv").write_text(EARLIER)
    (folder / "out" / "simulated_ranges.csv").write_text(EARLIER_RANGES)
    run = tune(folder, "--draws", "2", "--seeds", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    return Tuned(folder, run.stdout)


def test_every_tuned_method_has_the_same_number_of_draws_and_draw_0_is_its_default(tuned):
    drawn = [(row["method"], row["draw"]) for row in tuned.rows]
    assert sorted(drawn) == [
        ("cross_entropy", "0"),  # nothing to tune
        *[("fine_tune", str(k)) for k in range(3)],
        *[("gce", str(k)) for k in range(3)],
    ]
    for row in tuned.rows:
        declared, values = methods.declaration(row["method"]), json.loads(row["hparams"])
        assert list(values) == list(declared.searched)
        defaults = {name: declared.defaults[name] for name in values}
        assert (values == defaults) == (row["draw"] == "0" or not values)


@pytest.mark.parametrize("method", ["gce", "co_teaching", "mw_net", "metalabelnet", "fine_tune"])
def test_draws_fill_every_range_evenly_and_balance_choices(method):
    declared = methods.declaration(method)
    first, *drawn = draws("simulated", method, 12)
    assert first == {} and len(drawn) == 12
    for name, search in declared.searched.items():
        values = [values[name] for values in drawn]
        if isinstance(search, Choice):
            assert Counter(values) == dict.fromkeys(search.options, 12 // len(search.options))
            continue
        edges = [search.at(k / 12) for k in range(13)]
        for low, high in itertools.pairwise(edges):
            assert sum(low <= value <= high for value in values) >= 1
    assert draws("simulated", method, 12)[1:] == drawn  # a stream of its own
    assert draws("another", method, 12)[1:] != drawn


def test_what_the_only_entry_of_a_method_fixes_its_draws_have_and_the_file_says_so(tmp_path):
    entries = [{"name": "mlnt", "perturbations": 3}, {"name": "gce", "label": "cut", "q": 0.3}]
    entries += [{"name": "bootstrap", "hard": True, "label": "hard"}, "bootstrap"]
    study = write_study(tmp_path / "study.yaml", entries)
    (entry,) = load_study(study).datasets
    grid = cells(tuning_study(study, entry, (), count=2, seeds=1, development=64))
    of = {
        name: [c.hparams for c in grid if c.method == name] for name in ("mlnt", "gce", "bootstrap")
    }
    assert [len(hparams) for hparams in of.values()] == [3, 3, 3]
    assert {hparams["perturbations"] for hparams in of["mlnt"]} == {3}
    assert {hparams["hard"] for hparams in of["bootstrap"]} == {False}  # of two entries neither
    assert len({hparams["q"] for hparams in of["gce"]}) == 3  # what is searched is drawn
    judged = finished_draws(grid, {cell.key: 0.5 for cell in grid})
    write_values(tmp_path / "tuned.yaml", judged, grid, "command")
    under = YAML(typ="safe").load(tmp_path / "tuned.yaml")["tuned_under"]
    assert under["mlnt"]["fixed"] == {"perturbations": 3}
    assert "fixed" not in under["gce"] and "fixed" not in under["bootstrap"]


def test_a_draw_is_judged_by_its_mean_over_settings_and_the_best_is_marked(tuned):
    for row in tuned.rows:
        scores = [float(row[setting]) for setting in SETTINGS]
        assert float(row["mean"]) == pytest.approx(sum(scores) / 2, abs=1.1e-6)
    for method in ("cross_entropy", "gce", "fine_tune"):
        rows = [row for row in tuned.rows if row["method"] == method]
        best = [row for row in rows if row["best"] == "True"]
        assert len(best) == 1
        assert float(best[0]["mean"]) == max(float(row["mean"]) for row in rows)


def test_the_tuned_file_holds_the_best_draw_and_under_what_it_was_found(tuned):
    best = {
        row["method"]: json.loads(row["hparams"]) for row in tuned.rows if row["best"] == "True"
    }
    values = dict(tuned.values)
    under = values.pop("tuned_under")
    assert values == {
        "gce": {"q": best["gce"]["q"]},
        "fine_tune": {"lr_factor": best["fine_tune"]["lr_factor"]},
        "mw_net": {"lr": 0.002},  # tuned before, and no part of this run
    }
    of_study = cells(load_study(tuned.folder / "study.yaml"))[0].protocol["batch_size"]
    assert under["gce"] == {
        "network": "small_cnn", "epochs": 1, "lr": 0.05, "batch_size": of_study, "clean_subset": 8,
        "noises": ["symmetric-0.4"], "seeds": [100, 101], "draws": 3,
        "results_version": RESULTS_VERSION,
    }  # fmt: skip
    assert set(under) == {"gce", "fine_tune"}


def test_draws_of_methods_that_were_tuned_before_are_kept(tuned):
    kept = [row for row in tuned.all_rows if row["method"] == "mw_net"]
    assert [(row["draw"], float(row["mean"]), row["best"]) for row in kept] == [("0", 0.5, "True")]


def test_a_verdict_stays_that_of_the_range_that_was_drawn(tuned):
    with (tuned.folder / "out" / "simulated_ranges.csv").open(newline="") as file:
        rows = {(row["method"], row["parameter"]): row for row in csv.DictReader(file)}
    kept = rows["gce", "q"], rows["mw_net", "lr"]
    assert kept[1]["range"] == "1e-6 to 1e-3" and kept[1]["verdict"] == "inner"
    assert kept[0]["range"] == str(methods.declaration("gce").searched["q"])


def test_verdicts_and_a_figure_lie_beside_the_draws(tuned):
    with (tuned.folder / "out" / "simulated_ranges.csv").open(newline="") as file:
        ranges = {(row["method"], row["parameter"]): row for row in csv.DictReader(file)}
    assert set(ranges) == {
        ("gce", "q"), ("fine_tune", "lr_factor"), ("mw_net", "lr"), ("mw_net", "weight_decay"),
    }  # fmt: skip
    assert ranges["gce", "q"]["verdict"] == "too few draws"
    assert "gce.q: too few draws; best " in tuned.output
    assert (tuned.folder / "out" / "simulated_draws.png").stat().st_size > 10_000


def test_tuning_reads_development_images_and_never_the_test_set(tuned):
    assert len(tuned.records) == 14
    for record in tuned.records:
        assert record["counts"]["dev"] == 64 and "test" not in record["counts"]
        criteria = record["accuracy"]
        assert set(criteria) == {"last", "last10", "noisy_val", "clean_val", "dev_peek"}
        assert all(set(value) == {"epoch", "dev"} for value in criteria.values() if value)
        assert sum(map(sum, record["confusion"]["last"])) == 64
    for path in tuned.folder.glob("results/tuning/*/cells/*/epochs.jsonl"):
        assert all("test" not in json.loads(line) for line in path.read_text().splitlines())


def test_tuning_seeds_are_never_reported_seeds(tuned):
    assert {record["cell"]["seed"] for record in tuned.records} == {100, 101}


def test_a_second_tuning_run_trains_nothing_and_writes_the_same(tuned):
    before = tuned.rows, tuned.values
    run = tune(tuned.folder, "--draws", "2", "--seeds", "2")
    assert run.returncode == 0 and "14 of 14 cells done already" in run.stdout
    assert (tuned.rows, tuned.values) == before


def test_a_tuning_goes_on_from_its_table_of_cells_where_the_runs_are_gone(tuned, tmp_path):
    copy = Path(shutil.copytree(tuned.folder, tmp_path / "copy"))
    shutil.rmtree(copy / "results")
    table = copy / "out" / "simulated_cells.csv"
    rows = table.read_text().splitlines(keepends=True)
    assert len(rows) == 15
    table.write_text("".join(rows[:-3]))
    part = tune(copy, "--draws", "2", "--seeds", "2", "--only", "method=gce-*")
    assert part.returncode == 0 and "11 of 14 cells; values when all are" in part.stdout
    run = tune(copy, "--draws", "2", "--seeds", "2")
    assert run.returncode == 0 and "running 3" in run.stdout
    assert table.read_text() == "".join(rows)
    table.write_text("".join(rows).replace(",2,", ",1,"))  # of another results version
    assert "11 missing, 3 done" in tune(copy, "--draws", "2", "--seeds", "2", "--plan").stdout


def test_what_another_run_has_written_meanwhile_stays(tuned, tmp_path):
    table = Path(shutil.copy(tuned.folder / "out" / "simulated_cells.csv", tmp_path))
    before = table.read_text()
    own = tuning_study(
        tuned.folder / "study.yaml", load_study(tuned.folder / "study.yaml", []).datasets[0], [],
        count=2, seeds=2, development=64,
    )  # fmt: skip
    known = write_cells(table, cells(own), StudyFolder(tmp_path, own.name), {})
    assert len(known) == 14 and table.read_text() == before


@pytest.mark.parametrize("option", [["--cancel"], ["--list", "methods"], ["--logs", "gce-draw0"]])
def test_what_only_shows_or_cancels_writes_no_tuned_values(tuned, option):
    files = [tuned.folder / "out" / name for name in ("simulated.yaml", "simulated_draws.csv")]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    run = tune(tuned.folder, "--draws", "2", "--seeds", "2", *option)
    assert "wrote" not in run.stdout
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before
    if option[0] == "--list":
        assert run.returncode == 0 and "metalabelnet" in run.stdout


def test_a_plan_of_tuning_writes_nothing(tmp_path):
    write_study(tmp_path / "study.yaml", METHODS)
    run = tune(tmp_path, "--draws", "3", "--plan")
    assert run.returncode == 0 and "18 cells: 18 missing" in run.stdout  # two seeds
    assert not (tmp_path / "results").exists() and not (tmp_path / "out").exists()


def test_a_study_takes_tuned_values_from_the_folder_of_its_data_set_only(tuned):
    study = tuned.folder / "study.yaml"
    with_values = cells(load_study(study, tuned_folder=tuned.folder / "out"))
    assert {cell.label: cell.origin for cell in with_values if cell.hparams} == {
        "gce": "tuned",
        "again": "study",
        "fine_tune": "tuned",
    }
    for cell in with_values:
        if cell.origin == "tuned":
            assert tuned.values[cell.method].items() <= cell.hparams.items()
    without = cells(load_study(study, tuned_folder=tuned.folder / "elsewhere"))
    assert {cell.origin for cell in without if cell.hparams} == {"default", "study"}


def test_by_default_values_are_written_and_found_beside_the_study_and_nowhere_else(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["gce"], epochs=1)
    committed = {path: path.read_bytes() for path in TUNED.iterdir()}
    run = tune(tmp_path, "--draws", "1", "--seeds", "1", out=None)
    assert run.returncode == 0, run.stderr
    assert {path: path.read_bytes() for path in TUNED.iterdir()} == committed
    assert (tmp_path / "tuned" / "simulated.yaml").is_file()
    assert {cell.origin for cell in cells(load_study(study))} == {"tuned"}


def test_the_values_of_the_suite_are_not_replaced_unasked(tmp_path):
    study = str(ROOT / "benchmarks" / "precision.yaml")
    result = tune(tmp_path, out=None, study=study)
    assert result.returncode == 2
    assert result.stderr.startswith(f"--out: not given, and beside {study} lie the tuned values")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--draws", "0"], ["--seeds", "0"]])
def test_an_empty_budget_is_refused(tmp_path, arguments):
    write_study(tmp_path / "study.yaml", METHODS)
    run = tune(tmp_path, *arguments)
    assert run.returncode == 2 and "must be at least 1" in run.stderr
    assert not (tmp_path / "results").exists()
