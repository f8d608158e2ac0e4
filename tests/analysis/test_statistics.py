"""Statistics agree with scipy, with textbooks and with simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis import limits, paired, rank_tests, seed_statistics

FIVE = [0.2, 1.1, 0.7, -0.3, 0.9]


def test_the_t_interval_is_that_of_scipy_and_takes_no_missing_values():
    low, high = stats.ttest_1samp(FIVE, 0).confidence_interval(0.95)
    assert seed_statistics.t_interval([*FIVE, math.nan]) == pytest.approx((low, high))
    assert all(math.isnan(end) for end in seed_statistics.t_interval([1.0]))


def test_a_bootstrap_appears_from_twenty_units_on_as_fewer_cover_too_little():
    rng = np.random.default_rng(7)
    twenty = rng.normal(size=20)
    assert all(map(math.isnan, seed_statistics.bootstrap_interval(twenty[:19])))
    low, high = seed_statistics.bootstrap_interval(twenty)
    assert (low, high) == seed_statistics.bootstrap_interval(twenty)
    half = stats.norm.ppf(0.975) * twenty.std() / math.sqrt(20)
    assert (low, high) == pytest.approx((twenty.mean() - half, twenty.mean() + half), abs=0.05)
    covered = {size: _bootstrap_coverage(rng, size) for size in (3, 5, 20)}
    assert covered[3] == pytest.approx(0.74, abs=0.03)
    assert covered[5] == pytest.approx(0.83, abs=0.03)
    assert covered[20] > 0.9


def _bootstrap_coverage(rng: np.random.Generator, size: int, samples: int = 2_000) -> float:
    """How often the percentile bootstrap of normal samples covers their mean 0."""
    values = rng.normal(size=(samples, size))
    again = rng.integers(size, size=(400, size))
    means = values[:, again].mean(-1)
    low, high = np.quantile(means, (0.025, 0.975), axis=1)
    return float(((low <= 0) & (high >= 0)).mean())


def test_the_interquartile_mean_is_that_of_the_middle_half():
    assert seed_statistics.interquartile_mean([9, 1, 2, 3, 4, 5, 6, -70]) == 3.5
    assert math.isnan(seed_statistics.interquartile_mean([]))


def test_the_paired_t_test_is_that_of_scipy():
    assert paired.t_test(FIVE) == pytest.approx(stats.ttest_1samp(FIVE, 0).pvalue)
    assert (paired.t_test([0, 0, 0]), paired.t_test([2, 2, 2])) == (1, 0)
    assert math.isnan(paired.t_test([1.0]))


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.7, 0.6], [1.0, 1.0]),
        ([0.02, math.nan, 0.02], [0.04, math.nan, 0.04]),
        ([], []),
    ],
)
def test_holm_multiplies_the_smallest_p_most_and_keeps_the_order(p, adjusted):
    assert paired.holm(p) == pytest.approx(adjusted, nan_ok=True)


def test_under_holm_some_true_hypothesis_is_rejected_at_most_once_in_twenty():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(1_500):
        differences = rng.normal(size=(6, 5))
        wrong += min(paired.holm([paired.t_test(row) for row in differences])) < 0.05
    assert wrong / 1_500 < 0.065


def test_chances_are_those_of_the_posterior_drawn_from_its_definition():
    """sd^2 from a scaled inverse chi-squared, the mean from a normal given it."""
    rng = np.random.default_rng(1)
    draws, n, mean, sd = 400_000, len(FIVE), np.mean(FIVE), np.std(FIVE, ddof=1)
    variance = (n - 1) * sd**2 / rng.chisquare(n - 1, draws)
    means = rng.normal(mean, np.sqrt(variance / n))
    found = paired.chances(FIVE, 0.5)
    assert found.better == pytest.approx((means > 0.5).mean(), abs=0.005)
    assert found.worse == pytest.approx((means < -0.5).mean(), abs=0.005)
    assert found.better + found.equal + found.worse == pytest.approx(1)


def test_without_a_margin_the_chance_of_being_worse_is_the_one_sided_p():
    found = paired.chances(FIVE, 0.0)
    assert found.worse == pytest.approx(stats.ttest_1samp(FIVE, 0, alternative="greater").pvalue)
    assert found.equal == pytest.approx(0)


def test_chances_without_spread_are_certain_and_of_one_pair_unknown():
    assert vars(paired.chances([0.2, 0.2], 0.5)) == {"better": 0, "equal": 1, "worse": 0}
    assert vars(paired.chances([2.0, 2.0], 0.5)) == {"better": 1, "equal": 0, "worse": 0}
    assert math.isnan(paired.chances([2.0], 0.5).better)


@pytest.mark.parametrize(
    ("methods", "settings", "expected"),
    # Demšar (2006): table 5 of critical values, and his example of four classifiers on 14 data sets
    [(2, 6, 1.960 * math.sqrt(6 / 36)), (4, 14, 1.25), (10, 10, 3.164 * math.sqrt(110 / 60))],
)
def test_the_critical_difference_is_that_of_the_textbook(methods, settings, expected):
    assert rank_tests.critical_difference(methods, settings) == pytest.approx(expected, abs=0.005)


def test_friedman_is_the_formula_over_mean_ranks_and_needs_eight_settings():
    rng = np.random.default_rng(5)
    values = rng.normal([0, 0.5, 1, 2], size=(9, 4))
    mean = rank_tests.ranks(values).mean(0)
    expected = 12 * 9 / (4 * 5) * ((mean**2).sum() - 4 * 5**2 / 4)
    found = rank_tests.friedman(values)
    assert found.statistic == pytest.approx(expected)
    assert found.p == pytest.approx(stats.chi2.sf(expected, 3))
    assert rank_tests.friedman(np.ones((8, 3))).p == 1
    with pytest.raises(ValueError, match="4 methods in 7 settings are too few"):
        rank_tests.friedman(values[:7])


def test_ranks_begin_with_the_best_and_ties_share_one():
    values = np.array([[0.9, 0.8, 0.9], [1.0, 2.0, 3.0]])
    assert rank_tests.ranks(values).tolist() == [[1.5, 3, 1.5], [3, 2, 1]]
    assert rank_tests.ranks(values, lower_is_better=True)[1].tolist() == [1, 2, 3]


def test_a_profile_gives_every_setting_the_same_weight():
    runs = [np.array([0.2, 0.4]), np.array([0.9])]
    found = rank_tests.profile(runs, np.array([0.1, 0.3, 0.5, 0.9]))
    assert found.tolist() == [1, 0.75, 0.5, 0]


@pytest.mark.parametrize("pairs", [3, 5, 8])
def test_a_signed_rank_test_cannot_go_lower(pairs):
    smallest = stats.wilcoxon(np.arange(1, pairs + 1), method="exact").pvalue
    assert rank_tests.smallest_rank_p(pairs) == pytest.approx(smallest)
    assert rank_tests.smallest_rank_p(5) == 0.0625


def test_a_mean_as_large_as_needed_is_at_the_edge_of_the_interval():
    values = np.array(FIVE) - np.mean(FIVE)
    shifted = values + limits.needed_sds(5) * values.std(ddof=1)
    assert seed_statistics.t_interval(shifted)[0] == pytest.approx(0, abs=1e-12)


def test_the_error_of_a_test_set_is_the_spread_over_test_sets():
    drawn = np.random.default_rng(0).binomial(3_000, 0.85, 20_000) / 3_000
    assert limits.binomial_error(0.85, 3_000) == pytest.approx(drawn.std(), rel=0.02)
