"""Criteria and metrics read what a record says, and nan where it says nothing."""

from __future__ import annotations

import math
import statistics as standard

import pytest

from analysis import criteria
from analysis.seed_statistics import summary
from tests.helpers.records import SYMMETRIC, cell, record


def test_criteria_read_what_the_record_says_and_nan_for_null():
    made = record(cell("gce", SYMMETRIC, 0), 0.7, 0.8, ensemble=0.75)
    read = {name: criteria.value(made, name) for name in criteria.CRITERIA}
    assert math.isnan(read.pop("clean_val"))
    assert math.isnan(read.pop("label_wave"))  # found in epochs, of which none are given
    assert read == {"last": 0.7, "last10": 0.7 - 0.005, "noisy_val": 0.8, "test_peek": 0.8 + 0.01}
    assert criteria.value(made, "last", ensemble=True) == 0.75
    assert math.isnan(criteria.value(record(cell("gce", SYMMETRIC, 0), 0.7), "noisy_val"))


def test_summary_is_mean_and_sample_deviation_of_what_is_there():
    values = [0.81, 0.79, 0.84]
    made = summary([*values, math.nan])
    assert made.n == 3
    assert made.mean == pytest.approx(standard.mean(values), rel=1e-12)
    assert made.sd == pytest.approx(standard.stdev(values), rel=1e-12)
    assert math.isnan(summary([0.8]).sd) and math.isnan(summary([]).mean)


@pytest.mark.parametrize(
    ("selected_right", "selected_wrong"), [(50, 10), (60, 40), (0, 0), (60, 0), (1, 30)]
)
def test_detection_is_the_f1_of_the_wrong_labels_that_were_not_selected(
    selected_right, selected_wrong
):
    """Of 100 labels 40 are wrong: counted here, worked out from precision and recall there."""
    selected = selected_right + selected_wrong
    found, rejected = 40 - selected_wrong, 100 - selected
    precision = selected_right / selected if selected else None
    made = record(
        cell("gce", SYMMETRIC, 0), 0.7,
        selection={"precision": precision, "recall": selected_right / 60},
        noise={"train_part": {"realised_rate": 0.4}},
    )  # fmt: skip
    expected = 2 * found / (rejected + 40)
    assert criteria.value(made, "last", metric="detection") == pytest.approx(expected)


def test_metrics_that_no_epoch_chooses_are_of_the_whole_run():
    made = record(cell("gce", SYMMETRIC, 0), 0.7, labels={"accuracy": 0.9}, timing={"total_s": 90})
    values = {m: criteria.value(made, "last", metric=m) for m in ("label_recovery", "cost")}
    assert values == {"label_recovery": 0.9, "cost": 90.0}
    unknown = record(
        cell("gce", SYMMETRIC, 0), 0.7, selection={"precision": 1.0, "recall": 1.0},
        noise={"unknown_truth": 3, "train_part": {"realised_rate": None}},
    )  # fmt: skip
    for metric in ("detection", "label_recovery"):
        assert math.isnan(criteria.value(unknown, "last", metric=metric))
