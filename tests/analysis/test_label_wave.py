"""The epoch at which predictions on training images settle."""

from __future__ import annotations

import pytest

from analysis import label_wave


def epochs(*changed: int | None) -> list[dict]:
    return [{"test": 0.5 + 0.01 * k, "changed_predictions": n} for k, n in enumerate(changed)]


@pytest.mark.parametrize(
    ("changed", "epoch"),
    [
        ((None, 90, 60, 30, 20, 25, 40, 60), 6),  # means 60, 36.7, 25, 28.3 end with epoch 4 to 7
        ((None, 9, 8, 7, 6, 5), 6),  # never rises: the last epoch
        ((None, 9, 9, 9, 10, 1), 4),  # a plateau ends where it rises
        ((None, 1, 2, 3, 4), 4),  # rises from the start: the first whole window
        ((None, 5, 4), 3),  # no whole window
    ],
)
def test_the_first_epoch_whose_mean_of_three_is_below_the_next(changed, epoch):
    assert label_wave.position({}, epochs(*changed)) == epoch - 1


def test_epochs_of_a_warm_up_never_count():
    lines = epochs(None, 1, 2, 3, 60, 30, 20, 25, 40, 50)
    assert label_wave.position({"end_of_warmup": None}, lines) == 3
    assert label_wave.position({"end_of_warmup": lines[3]["test"]}, lines) == 7
    lines[4]["test"] = lines[3]["test"]  # which of the two ended it, nobody knows: the later one
    assert label_wave.position({"end_of_warmup": lines[3]["test"]}, lines) == 7


@pytest.mark.parametrize("changed", [(None, None, None, None), (None, 5, None, 5, 5), (None,), ()])
def test_without_counted_changes_there_is_no_epoch(changed):
    assert label_wave.position({}, epochs(*changed)) is None
