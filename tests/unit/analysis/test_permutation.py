"""Splitting the same units anew: against scipy's permutation test, and by its own laws."""

import numpy as np
import pytest
from scipy import stats

from analysis.permutation import Units, permute
from experiments.errors import NotEstimable


def welch(x, y, axis):
    return stats.ttest_ind(x, y, equal_var=False, axis=axis).statistic


def mean_difference(x, y, axis):
    return x.mean(axis) - y.mean(axis)


@pytest.mark.parametrize(("statistic", "function"), [("difference", mean_difference), ("studentised", welch)])
@pytest.mark.parametrize("sizes", [(6, 6), (4, 9), (9, 3)])
def test_all_splits_agree_with_scipy(statistic, function, sizes):
    rng = np.random.default_rng(sizes[0])
    a, b = rng.normal(size=sizes[0]).round(1), 0.7 + rng.normal(size=sizes[1]).round(1)
    found = permute(Units.of(a), Units.of(b), rng, statistic=statistic)
    told = stats.permutation_test((b, a), function, vectorized=True, n_resamples=np.inf)
    assert found.exact
    assert found.p_value == pytest.approx(told.pvalue, abs=1e-12)


def test_drawn_splits_come_near_to_all_of_them():
    rng = np.random.default_rng(2)
    a, b = rng.exponential(size=12), 1.0 + rng.exponential(size=14)
    told = stats.permutation_test((b, a), welch, vectorized=True, n_resamples=20_000, rng=np.random.default_rng(3))
    found = permute(Units.of(a), Units.of(b), rng, permutations=20_000)
    assert not found.exact
    error = np.sqrt(2 * told.pvalue / 20_000)
    assert abs(found.p_value - told.pvalue) < 5 * error + 1e-4


def test_drawn_splits_have_the_moments_that_all_splits_have():
    """Blocks of one shuffle are random splits: the mean and variance of the difference are those of the theory."""
    from analysis.permutation import _features, _statistic, _sums

    rng = np.random.default_rng(4)
    values = np.where(rng.random(400) < 0.2, rng.exponential(size=400), 0.0)
    side, rest = Units.of(values[:40]), Units.of(values[40:])
    features, total = _features(side, rest)
    drawn = _statistic(_sums(features, (40, 360), rng, 40_000), total, (40, 360), "difference")[2]
    spread = values.var(ddof=1) * (1 / 40 + 1 / 360)
    assert abs(drawn.mean()) < 5 * np.sqrt(spread / 40_000)
    assert drawn.var() == pytest.approx(spread, rel=0.05)


def test_a_ratio_is_split_with_its_denominator():
    """A ratio over ones is the mean, units that did nothing or not."""
    rng = np.random.default_rng(5)
    a, b = rng.exponential(size=7), rng.exponential(size=8)
    mean = permute(Units.of(a), Units.of(b), rng)
    ratio = permute(Units.of(a, np.ones(7)), Units.of(b, np.ones(8)), rng)
    assert ratio.p_value == mean.p_value
    assert (ratio.low, ratio.high) == pytest.approx((mean.low, mean.high))


def test_units_that_did_nothing_need_not_be_listed():
    rng = np.random.default_rng(6)
    a, b = np.array([0, 0, 3.0, 1.0, 0]), np.array([2.0, 0, 5.0, 0, 4.0, 1.5])
    listed = permute(Units.of(a), Units.of(b), rng)
    assert permute(Units(5, (a[a != 0],)), Units(6, (b[b != 0],)), rng) == listed


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_the_interval_excludes_zero_exactly_when_the_test_rejects(alpha):
    for seed in range(200):
        rng = np.random.default_rng(seed)
        a, b = rng.exponential(size=8).round(1), rng.exponential(size=7).round(1) + seed % 3 / 2
        found = permute(Units.of(a), Units.of(b), rng, 999, alpha)
        holds = (found.low is None or found.low <= 0) and (found.high is None or found.high >= 0)
        assert holds == (found.p_value >= alpha)


def test_the_same_seed_gives_the_same_answer():
    rng = np.random.default_rng(7)
    a, b = Units.of(rng.exponential(size=60)), Units.of(rng.exponential(size=30))
    assert permute(a, b, np.random.default_rng(1)) == permute(a, b, np.random.default_rng(1))


@pytest.mark.parametrize("values", [([1.0], [2.0, 3.0]), ([2.0] * 5, [2.0] * 6)])
def test_what_cannot_be_split_or_does_not_vary_is_refused(values):
    with pytest.raises(NotEstimable):
        permute(Units.of(values[0]), Units.of(values[1]), np.random.default_rng(1))
