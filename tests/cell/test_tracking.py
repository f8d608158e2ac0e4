"""What is followed over the epochs: means of every image, changed predictions, confusions."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from runners.cell.criteria import chosen
from runners.cell.evaluation import outputs
from runners.cell.tracking import Tracker, calibration
from tests.helpers.cells import Ready, make_cell, ready


def trained(method: str, **protocol) -> Ready:
    run = ready(make_cell(method, **{"epochs": 3, "batch_size": 100, **protocol}))
    run.history = run.train()
    return run


def test_means_over_training_passes_are_those_of_the_logits_that_the_loss_was_made_of(monkeypatch):
    run = ready(make_cell("gce", epochs=3, batch_size=100))
    sums, margins, passes = np.zeros(454), np.zeros(454), Counter()
    loss = run.method.loss

    def noted(logits, labels, index):
        p = logits.detach().double().softmax(1).numpy()
        for row, label, place in zip(p, labels.tolist(), index.tolist(), strict=True):
            sums[place] += row[label]
            margins[place] += row[label] - np.delete(row, label).max()
            passes[place] += 1
        return loss(logits, labels, index)

    monkeypatch.setattr(run.method, "loss", noted)
    run.train()
    count = np.array([passes[place] for place in range(454)])
    assert count.min() < count.max() <= 3  # four batches of 100 leave 54 out
    assert np.array_equal(run.tracker.values["train_count"].numpy(), count)
    seen, means = count > 0, run.tracker.means("train")
    assert means["mean_probability"].numpy()[seen] == pytest.approx((sums / count)[seen], abs=1e-5)
    assert means["mean_margin"].numpy()[seen] == pytest.approx((margins / count)[seen], abs=1e-5)
    assert np.isnan(means["mean_margin"].numpy()[~seen]).all()


@pytest.mark.parametrize(
    ("method", "epochs"),
    [("co_teaching", 3), ("mw_net", 3), ("metalabelnet", 3), ("fine_tune", 1), ("clean_only", 0)],
)
def test_of_every_method_the_reported_network_is_followed_where_it_sees_the_images(method, epochs):
    run = trained(method)
    assert run.tracker.values["train_count"].sum() == 400 * epochs  # fine_tune: its warm-up


def test_images_of_other_parts_have_the_means_of_the_epochs_evaluations():
    run = ready(make_cell("cross_entropy", epochs=3))
    found = {"eval": [], "noisy_val": []}

    def note(entry) -> None:
        for part, kept in found.items():
            kept.append(outputs(run.method, run.tracker.parts[part]))

    run.train(on_epoch=note)
    for part, kept in found.items():
        means = run.tracker.means(part)
        expected = torch.stack([each.margin for each in kept]).mean(0)
        assert means["mean_margin"].numpy() == pytest.approx(expected.numpy(), abs=1e-6)
        assert means["mean_probability"].min() >= 0


def test_changed_predictions_are_counted_from_one_epoch_to_the_next():
    run = ready(make_cell("cross_entropy", epochs=3))
    predicted = []

    def note(entry) -> None:
        predicted.append(outputs(run.method, run.sets.train).predicted[run.sets.sample])

    history = run.train(on_epoch=note)
    changes = [int((a != b).sum()) for a, b in itertools.pairwise(predicted)]
    assert [entry["changed_predictions"] for entry in history] == [None, *changes]


def test_only_confusions_that_a_criterion_can_still_report_are_kept():
    run = trained("cross_entropy", epochs=12, batch_size=400)
    reported = chosen(run.history, "test", 0)
    needed = {position for positions in reported.values() for position in positions or ()}
    kept = {
        int(name.rpartition("_")[2]) for name in run.tracker.values if name.startswith("confusion")
    }
    assert needed <= kept < set(range(12))
    for position in needed:
        counts = run.tracker.values[f"confusion_{position}"]
        assert counts.trace() / counts.sum() == pytest.approx(run.history[position]["test"])


def test_a_method_that_raises_in_a_step_leaves_no_hook_behind():
    run = ready(make_cell("cross_entropy", epochs=1))
    tracker = Tracker(run.sets, 4)
    with pytest.raises(ZeroDivisionError), tracker.step(run.method.network, run.first_batch()):
        raise ZeroDivisionError
    assert not run.method.network._forward_hooks


def test_bins_of_calibration_hold_their_upper_edge():
    confidence = torch.tensor([1 / 15, 0.07, 1.0, 0.99])
    sums = calibration(confidence, torch.tensor([True, False, True, True]))
    assert sums[0].tolist() == [1, 1] + 12 * [0] + [2]
    assert sums[2].tolist() == [1, 0] + 12 * [0] + [2]
