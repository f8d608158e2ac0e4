"""What `make_tables.py` writes and prints of statistics, and where it stays silent."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import command, frames, inference, make_tables, paired, rankings, studies
from tests.helpers.records import (
    ASYMMETRIC,
    HARDER,
    SYMMETRIC,
    cell,
    epoch_lines,
    record,
    write_study,
)
from tests.helpers.tables import one_column, ten_records

VALUES = {
    "cross_entropy": [0.70, 0.72, 0.74, 0.71, 0.73],
    "gce": [0.75, 0.76, 0.80, 0.74, 0.79],
    "mw_net": [0.705, 0.72, 0.745, 0.70, 0.735],
}


def made(folder: Path, values: dict = VALUES) -> studies.Study:
    return one_column(folder, values, seeds=5)


@pytest.fixture
def run(monkeypatch, capsys):
    """A function: arguments -> exit code and what the command printed and said of mistakes."""

    def called(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["make_tables.py", *map(str, arguments)])
        code = 0
        try:
            command.run(make_tables.main)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return called


def test_differences_to_a_reference_are_those_of_paired_tests_corrected_in_a_setting(tmp_path):
    found = paired.to_reference(frames.cells(made(tmp_path)), "last", "cross_entropy")
    tests = [stats.ttest_rel(VALUES[m], VALUES["cross_entropy"]) for m in ("gce", "mw_net")]
    assert list(found["label"]) == ["gce", "mw_net"]
    assert found["p"].tolist() == pytest.approx([test.pvalue for test in tests])
    assert found["p_holm"].tolist() == pytest.approx([2 * tests[0].pvalue, tests[1].pvalue])
    low, high = tests[0].confidence_interval(0.95)
    assert found.iloc[0][["n", "low", "high"]].tolist() == pytest.approx([5, 100 * low, 100 * high])
    assert found.iloc[1]["equal"] > 0.8 and found.iloc[0]["better"] > 0.99


def test_cells_of_other_labels_or_split_are_no_pair(tmp_path):
    frame = frames.cells(made(tmp_path))
    gce = frame["label"] == "gce"
    frame.loc[gce & (frame["seed"] == 0), "labels_sha256"] = "other"
    frame.loc[gce & (frame["seed"] == 1), "split_sha256"] = "other"
    found = paired.to_reference(frame, "last", "cross_entropy").set_index("label")
    assert found["n"].to_dict() == {"gce": 3, "mw_net": 5}


def test_a_cheaper_method_is_better(tmp_path):
    frame = frames.cells(made(tmp_path), "cost")
    frame.loc[frame["label"] == "gce", "last"] += 60 * np.arange(1, 6)
    found = paired.to_reference(frame, "last", "cross_entropy", "cost").set_index("label")
    assert found.loc["gce", "mean"] == pytest.approx(3)
    assert math.isnan(found.loc["gce", "better"])  # nobody has named minutes that do not matter


@pytest.mark.parametrize(
    ("asked", "expected"), [(None, "cross_entropy"), ("mw_net", "mw_net"), ("gce", "gce-q")]
)
def test_a_reference_is_named_by_label_or_by_a_method_of_one_label(tmp_path, asked, expected):
    frame = frames.cells(made(tmp_path)).replace({"label": {"gce": "gce-q"}})
    assert inference.reference_of(frame, asked) == expected


def test_a_study_without_the_default_reference_has_no_differences(tmp_path, run):
    study = made(tmp_path, {"gce": VALUES["gce"]})
    code, _, _ = run(study.folder, "--out", tmp_path / "out")
    assert code == 0
    assert not list((tmp_path / "out").glob("paired_*"))
    assert "Mean rank" in (tmp_path / "out" / "statistics_accuracy_last.md").read_text()


def test_an_unknown_reference_is_one_sentence(tmp_path, run):
    code, _, said = run(made(tmp_path).folder, "--reference", "gec", "--out", tmp_path / "out")
    assert code == 2 and len(said.strip().splitlines()) == 1
    assert "--reference: 'gec' is no method of the study; it has cross_entropy, gce" in said
    assert not (tmp_path / "out").exists()


def test_the_command_prints_differences_where_a_reference_is_named(tmp_path, run):
    code, printed, _ = run(made(tmp_path).folder, "--reference", "gce", "--out", tmp_path / "out")
    assert code == 0
    assert "paired differences to gce" in printed
    written = pd.read_csv(tmp_path / "out" / "paired_accuracy_last.csv")
    assert list(written["label"]) == ["cross_entropy", "mw_net"]
    text = (tmp_path / "out" / "statistics_accuracy_last.md").read_text()
    assert text in printed
    for part in (
        "a signed-rank test on 5 pairs cannot go below p = 0.0625",
        "the 3,000 test images of simulated give an accuracy of 76.8 % a standard error of 0.77",
        "Friedman and Nemenyi are left out below 8 settings: with 1",
    ):
        assert part in text


def many_settings(folder: Path, count: int) -> pd.DataFrame:
    noises = [SYMMETRIC | {"rate": round(0.1 * k, 1)} for k in range(1, count + 1)]
    shift = {"cross_entropy": 0.0, "gce": 0.1, "mw_net": 0.05}
    cells = [cell(m, noise, s) for noise in noises for m in shift for s in range(2)]
    done = [record(each, 0.5 + shift[each["method"]] + 0.01 * each["seed"], 0.5) for each in cells]
    return frames.cells(studies.load(write_study(folder / "many", cells, done, packed=True)))


def test_from_eight_settings_on_ranks_are_tested_and_profiles_made(tmp_path):
    found = inference.of_study("s", many_settings(tmp_path, 8), "last", "accuracy", None)
    assert dict(zip(found.overall["label"], found.overall["mean_rank"], strict=True)) == {
        "cross_entropy": 3, "gce": 1, "mw_net": 2,
    }  # fmt: skip
    distance = 2.343 * math.sqrt(3 * 4 / (6 * 8))  # Demšar's table: three methods
    (said,) = [line for line in found.sentences if line.startswith("Friedman over 8 settings")]
    assert f"mean ranks differ from {distance:.2f} on" in said and "chi-squared 16.00" in said
    assert said.endswith(
        "Best mean rank: GCE (1.00); not told apart from it: Meta-Weight-Net (2.00)."
    )
    share = found.profiles.set_index(["label", "threshold"])["share"]
    assert (share["gce", 0.59], share["gce", 0.61]) == (1, 0)
    few = inference.of_study("s", many_settings(tmp_path / "few", 7), "last", "accuracy", None)
    assert few.profiles.empty


def test_every_table_says_what_its_seeds_can_show(tmp_path, run):
    said = {
        seeds: run(one_column(tmp_path / str(seeds), {"gce": [0.8] * 3}, seeds=seeds).folder)[1]
        for seeds in (1, 3)
    }
    assert "What one seed can show: nothing of the spread" in said[1]
    assert "cannot go below p = 0.25; " in said[3]


def test_all_criteria_show_how_the_ranking_changes(tmp_path, run):
    study = ten_records(tmp_path)
    code, printed, _ = run(study.folder, "--criterion", "all", "--out", tmp_path / "out")
    assert code == 0
    assert "No record of study golden has the criterion clean_val" in printed
    ranks = pd.read_csv(tmp_path / "out" / "ranking_accuracy.csv")
    assert set(ranks["criterion"]) == {"last", "last10", "noisy_val", "test_peek"}
    assert (tmp_path / "out" / "ranking_accuracy.md").read_text() in printed


def test_ranks_and_tau_are_those_of_the_means_under_each_criterion(tmp_path):
    values = {"cross_entropy": (0.7, 0.9), "gce": (0.8, 0.85), "mw_net": (0.6, 0.8)}
    cells = [cell(m, noise, s) for noise in (SYMMETRIC, HARDER) for m in values for s in range(2)]
    done = [record(each, *values[each["method"]]) for each in cells]
    frame = frames.cells(studies.load(write_study(tmp_path / "s", cells, done, packed=True)))
    found = rankings.of_criteria(frame, ["last", "noisy_val"], "accuracy")
    noisy = found[(found["criterion"] == "noisy_val") & (found["noise_slug"] == "symmetric-0.4")]
    assert noisy["rank"].tolist() == [1, 2, 3]
    assert noisy["tau"].unique() == pytest.approx([1 / 3])


def test_what_settles_first_on_training_images_is_a_criterion_of_the_epochs(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    lines = epoch_lines(planned, 0.7, 0.85)
    changed = [None, 90, 60, 30, 20, 25, 40, 60, 50, 40, 30, 20]
    for line, count in zip(lines, changed, strict=True):
        line.update(changed_predictions=count, test_by_class=[line["test"] + 0.1, 0.5])
    folder = write_study(
        tmp_path / "s", [planned], [record(planned, 0.7)], {planned["key"]: lines}, packed=True
    )
    study = studies.load(folder)
    frame = frames.cells(study, wanted=["label_wave"])
    # means of three epochs end with epoch 4 (60), 5 (36.7), 6 (25), 7 (28.3): epoch 6 is the first
    assert frame["label_wave"].tolist() == [lines[5]["test"]]
    assert frames.cells(study, "worst_class", ["label_wave"])["label_wave"].tolist() == [0.5]
    assert frames.cells(study)["label_wave"].isna().all()


def test_methods_are_ranked_over_settings_of_several_data_sets(tmp_path):
    places = [("simulated", SYMMETRIC), ("simulated", HARDER), ("cifar10", ASYMMETRIC)]
    cells = [cell(m, noise, 0, dataset=d) for d, noise in places for m in ("gce", "mw_net")]
    cells += [cell("co_teaching", SYMMETRIC, 0)]  # not in every setting
    done = [record(each, 0.8 if each["method"] == "gce" else 0.7) for each in cells]
    frame = frames.cells(studies.load(write_study(tmp_path / "s", cells, done, packed=True)))
    table = inference.settings_by_methods(frame, "last")
    assert list(table.index) == [(d, frame_slug(noise)) for d, noise in places]
    assert table.to_dict("list") == {"gce": [0.8] * 3, "mw_net": [0.7] * 3}


def frame_slug(noise: dict) -> str:
    return f"{noise['name']}-{noise['rate']}"


def test_a_missing_seed_is_counted_and_does_not_leave_a_method_out(tmp_path):
    values = VALUES | {"gce": VALUES["gce"][:3]}
    found = inference.of_study("s", frames.cells(made(tmp_path, values)), "last", "accuracy", None)
    cells = {row[0]: row[2] for row in inference.overall_rows(found, "accuracy")[1:]}
    assert cells == {"Cross-entropy": "5", "GCE": "3/5", "Meta-Weight-Net": "5"}
