"""What draws say of a range: an optimum inside, nothing, or that the best may lie outside."""

from __future__ import annotations

import numpy as np
import pytest

from methods.declaration import Choice, Declaration, Hyperparameters, LogUniform, Uniform, hparam
from runners.tuning.verdicts import Draw, best, judge

CELLS = 6


class Hparams(Hyperparameters):
    free: float = hparam(0.5, ge=0, le=10, search=Uniform(0.2, 1.0))
    bound: float = hparam(0.5, gt=0, le=1, search=Uniform(0.2, 1.0))
    twice: float = hparam(0.5, gt=0, search=LogUniform(0.2, 1.0, widened=2))
    kind: str = hparam("a", search=Choice(("a", "b")))


DECLARED = Declaration("made_up", "Made up", Hparams)


def draws(accuracy, noise: float = 0.0, count: int = 13) -> list[Draw]:
    """Draws with the values 0.2 to 1 in every range; `accuracy` is a function of the value."""
    rng = np.random.default_rng(0)
    offsets = rng.normal(0, 0.1, CELLS)  # settings differ by more than draws do
    made = []
    for number, x in enumerate(np.linspace(0.2, 1.0, count)):
        values = dict.fromkeys(("free", "bound", "twice"), x) | {"kind": "ab"[number % 2]}
        scores = 0.6 + accuracy(x) + offsets + rng.normal(0, noise, CELLS)
        cells = {f"c{k}": float(score) for k, score in enumerate(scores)}
        made.append(Draw("made_up", number, values, cells))
    return made


def words(tried: list[Draw]) -> dict[str, str]:
    return {verdict.parameter: verdict.words for verdict in judge(DECLARED, tried)}


def test_an_optimum_inside_is_inner():
    found = words(draws(lambda x: -((x - 0.6) ** 2), noise=0.003))
    assert found == {"free": "inner", "bound": "inner", "twice": "inner", "kind": "choice, best a"}


def test_what_makes_no_difference_is_flat():
    assert words(draws(lambda x: 0.0))["free"] == "flat"


def test_a_range_that_rises_is_named_with_its_edge_unless_its_bound_is_natural():
    found = words(draws(lambda x: 0.1 * x, noise=0.003))
    assert found["free"] == "rising at the high edge"
    assert found["bound"] == "rising to its natural bound 1"
    assert found["twice"] == "still rising at the high edge"
    assert words(draws(lambda x: -0.1 * x, noise=0.003))["bound"] == "rising at the low edge"


def test_the_gain_of_the_outer_quarter_and_its_paired_error_are_those_of_the_formula():
    tried = draws(lambda x: 0.1 * x, noise=0.01)
    accuracy = np.array([list(draw.accuracy.values()) for draw in tried])
    by_cell = accuracy[-3:].mean(0) - accuracy[:-3].mean(0)
    (verdict,) = [v for v in judge(DECLARED, tried) if v.parameter == "free"]
    error = by_cell.std(ddof=1) / CELLS**0.5
    assert verdict.high == (pytest.approx(by_cell.mean()), pytest.approx(error))


def test_a_gain_within_its_error_is_no_rise():
    def accuracy(x: float) -> np.ndarray:
        return np.array([1, -1, 1, -1, 1, -1]) * 0.1 * x**2  # up in half of the cells, down in half

    assert words(draws(accuracy))["free"] == "flat"


def test_of_equal_draws_the_default_is_the_best():
    assert best(draws(lambda x: 0.0)).number == 0


def test_of_three_draws_no_quarter_can_be_taken():
    assert words(draws(lambda x: x, count=3))["free"] == "too few draws"
