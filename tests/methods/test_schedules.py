"""When methods do what: durations are shares of the epochs, rates follow their stage."""

from __future__ import annotations

import math

import pytest

from methods.base import epochs_of_share
from runners.cell.schedule import learning_rate
from tests.helpers.cells import batch, granted_task, tiny_method, tiny_task


@pytest.mark.parametrize(
    ("share", "epochs", "expected"),
    [
        (44 / 120, 120, 44),
        (44 / 120, 12, 4),
        (44 / 120, 25, 9),
        (1 / 3, 200, 67),
        (10 / 120, 12, 1),
        (10 / 120, 3, 1),
        (1e-6, 100, 1),
        (1.0, 7, 7),
    ],
)
def test_a_duration_is_a_share_of_the_epochs_rounded_and_at_least_one(share, epochs, expected):
    assert epochs_of_share(share, epochs) == expected


@pytest.mark.parametrize("name", ["metalabelnet", "fine_tune"])
@pytest.mark.parametrize(("epochs", "warmup"), [(1, 1), (2, 1), (12, 4), (120, 44)])
def test_the_warm_up_is_44_of_120_epochs(name, epochs, warmup):
    assert tiny_method(name, task=granted_task(epochs=epochs)).warmup_epochs == warmup


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(120, range(40, 120, 10)), (12, range(4, 12)), (24, range(8, 24, 2)), (2, [1]), (1, [])],
)
def test_pruning_starts_at_a_third_and_repeats_every_twelfth_of_the_epochs(epochs, expected):
    looked, data = [], batch()
    task = tiny_task(epochs=epochs, train_in_order=lambda: looked.append(epoch) or iter([data]))
    method = tiny_method("gce", task=task, truncated=True)
    for epoch in range(epochs):
        method.begin_epoch(epoch)
    assert looked == list(expected)


def test_plain_gce_selects_nothing_and_never_prunes():
    method = tiny_method("gce", task=tiny_task(train_in_order=lambda: pytest.fail("it looked")))
    for epoch in range(12):
        method.begin_epoch(epoch)
    assert method.clean_probability() is None


@pytest.mark.parametrize(
    ("epochs", "hparams", "expected"),
    [
        (12, {}, [0, 0.1, 0.2, 0.3, 0.4, 0.4]),
        (12, {"exponent": 2.0}, [0, 0.1, 0.4, 0.4]),
        (12, {"tau_factor": 0.5}, [0, 0.05, 0.1, 0.15, 0.2, 0.2]),
        (30, {}, [0.04 * e for e in range(11)] + [0.4]),
        (2, {}, [0, 0.4]),
        (1, {}, [0]),
    ],
)
def test_the_forget_rate_is_zero_in_the_first_epoch_and_full_at_a_third(epochs, hparams, expected):
    method = tiny_method("co_teaching", task=granted_task(epochs=epochs), **hparams)
    rates = []
    for epoch in range(len(expected)):
        method.begin_epoch(epoch)
        rates.append(method.forget_rate)
    assert rates == pytest.approx(expected)


def test_the_cosine_falls_from_lr_to_zero_over_all_epochs():
    protocol = {"lr": 0.1, "epochs": 4, "schedule": "cosine", "milestones": []}
    rates = [learning_rate(protocol, epoch) for epoch in range(4)]
    assert rates == pytest.approx([0.1, 0.08535533905932738, 0.05, 0.014644660940672627])


@pytest.mark.parametrize(
    ("name", "hparams", "expected"),
    [
        ("cross_entropy", {}, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        ("fine_tune", {"lr_factor": 0.1}, [0.6, 0.5, 0.06, 0.03 * (1 + math.sqrt(0.5)), 0.03]),
        ("metalabelnet", {"stage2_lr_factor": 0.05}, [0.6, 0.5, 0.03, 0.03, 0.03, 0.03]),
        ("metalabelnet", {"stage2_schedule": "protocol"}, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
    ],
    ids=["cross_entropy", "fine_tune", "metalabelnet", "metalabelnet_paper"],
)
def test_each_stage_runs_at_its_own_learning_rate(name, hparams, expected):
    task = granted_task(epochs=6, augmented=True, learning_rate=lambda epoch: 0.6 - 0.1 * epoch)
    method = tiny_method(name, task=task, **hparams)
    rates = []
    for epoch in range(len(expected)):
        method.begin_epoch(epoch)
        rates.append(method.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx(expected)
