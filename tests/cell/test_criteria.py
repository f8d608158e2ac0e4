"""Which epoch a criterion reports: never one of the warm-up, and of equal ones the mean."""

from __future__ import annotations

import pytest

from runners.cell.criteria import accuracies


def chosen(noisy_val: list[float], test: list[float], warmup: int) -> dict:
    history = [
        {"epoch": epoch, "noisy_val": score, "clean_val": None, "test": value}
        for epoch, (score, value) in enumerate(zip(noisy_val, test, strict=True), start=1)
    ]
    return accuracies(history, "test", warmup)


def test_an_epoch_of_the_warm_up_is_never_chosen():
    scores, test = [0.9, 0.1, 0.3, 0.2], [0.8, 0.5, 0.6, 0.7]
    assert chosen(scores, test, 0)["noisy_val"] == {"epoch": 1, "test": 0.8}
    assert chosen(scores, test, 1)["noisy_val"] == {"epoch": 3, "test": 0.6}
    assert chosen(scores, test, 1)["test_peek"] == {"epoch": 4, "test": 0.7}
    assert chosen(scores, test, 1)["clean_val"] is None


def test_where_training_ends_in_the_warm_up_the_last_epoch_is_chosen():
    for warmup in (3, 4):
        assert chosen([0.9, 0.1, 0.3], [0.8, 0.5, 0.6], warmup)["noisy_val"]["epoch"] == 3


def test_of_epochs_with_equal_scores_it_is_the_mean():
    found = chosen([0.3, 0.3, 0.1, 0.3], [0.8, 0.5, 0.6, 0.7], 1)["noisy_val"]
    assert found == {"epoch": None, "test": pytest.approx(0.6), "tied": [2, 4]}
