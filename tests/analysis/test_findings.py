"""Sentences about results say what the numbers say, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from analysis import findings, frames, studies
from analysis.compare_protocols import compare, verdict
from runners.system.errors import UserError
from tests.helpers.records import SYMMETRIC, cell, record, write_study

FIVE = [0.80, 0.81, 0.82, 0.79, 0.83]


def study(folder: Path, values: dict[str, list[float]], planned: int = 5) -> studies.Study:
    cells = [cell(m, SYMMETRIC, s) for m in values for s in range(planned)]
    made = [
        record(each, values[each["method"]][each["seed"]], 0.5)
        for each in cells
        if each["seed"] < len(values[each["method"]])
    ]
    return studies.load(write_study(folder, cells, made, packed=True))


def said(folder: Path, values: dict[str, list[float]]) -> list[str]:
    return findings.sentences(frames.cells(study(folder, values)), "last")


def test_a_ceiling_is_no_rival(tmp_path):
    sentences = said(tmp_path / "s", {"gce": FIVE, "oracle": [v + 0.1 for v in FIVE]})
    assert not any("Oracle" in sentence for sentence in sentences)


def test_the_best_mean_is_named_with_those_that_cannot_be_told_from_it(tmp_path):
    values = {
        "cross_entropy": [v - 0.1 for v in FIVE],
        "gce": FIVE,
        "co_teaching": [v + d for v, d in zip(FIVE, (0.01, -0.02, 0.01, -0.01, 0.0), strict=True)],
    }
    everybody, alike = said(tmp_path / "s", values)
    assert everybody.startswith("Symmetric 0.4, last, all methods: GCE has the best mean (81.0, 5 ")
    assert "not told apart from it: Co-teaching (-0.2, " in everybody
    assert everybody.endswith("; the other one is worse.")
    assert alike.startswith("Symmetric 0.4, last, without clean images or the noise rate: GCE has")
    assert alike.endswith("(81.0, 5 seeds) and is told apart from every other.")


def test_the_interval_is_that_of_the_paired_t_test(tmp_path):
    other = [0.805, 0.80, 0.825, 0.785, 0.83]
    (sentence,) = said(tmp_path / "s", {"gce": FIVE, "cross_entropy": other})
    low, high = stats.ttest_rel(other, FIVE).confidence_interval(0.95)
    assert f"Cross-entropy (-0.1, {100 * low:+.1f} to {100 * high:+.1f})" in sentence


def test_unfinished_methods_are_not_compared(tmp_path):
    values = {"gce": FIVE, "cross_entropy": FIVE, "mw_net": [0.99]}
    sentences = said(tmp_path / "s", values)
    assert sentences and not any("Meta-Weight-Net" in sentence for sentence in sentences)


def test_of_one_seed_nothing_is_told_apart(tmp_path):
    made = study(tmp_path / "s", {"gce": [0.9], "cross_entropy": [0.1]}, planned=1)
    (sentence,) = findings.sentences(frames.cells(made), "last")
    assert "not told apart from it: Cross-entropy (-80.0)" in sentence


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([0.1, -0.1, 0.05, 0.0, -0.05], "equivalent within 0.5 points"),
        ([2.0, 2.2, 1.9, 2.1, 2.0], "different"),
        ([0.20, 0.21, 0.19, 0.2], "different, but equivalent within 0.5 points"),
        ([2.0, -2.0, 1.0, -1.5], "not shown"),
        ([0.0, 0.0], "not shown"),
    ],
)
def test_two_precisions_are_equivalent_different_or_it_is_not_shown(differences, words):
    assert verdict(differences, 0.5) == words


def test_cells_are_paired_by_setting_label_and_seed(tmp_path):
    one = frames.cells(study(tmp_path / "a", {"gce": FIVE}))
    other = frames.cells(study(tmp_path / "b", {"gce": [v + 0.02 for v in FIVE], "mw_net": FIVE}))
    (line,) = compare(one, other, "last", 0.5)
    assert line.startswith("Symmetric 0.4, GCE: +2.00 points (+2.00 to +2.00) over 5 pairs: differ")
    with pytest.raises(UserError, match="no finished cell of one data set"):
        compare(one[one["seed"] < 2], other[other["seed"] > 2], "last", 0.5)
