import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from analysis import proportions
from analysis.proportions import Counts
from experiments.errors import Invalid

KINDS = ("mid", "low", "zero_t", "zero_c", "all", "unbalanced", "large", "tiny", "low150", "zero_both")


def counts_of(cases, name):
    told = cases[name]["inputs"]
    return Counts(*(int(told[arm][k]) for arm in ("control", "treatment") for k in ("x", "n")))


def found(cases, family):
    return [
        name for name in (f"{family}_{kind}" for kind in KINDS) if name in cases and "lower" in cases[name]["outputs"]
    ]


def test_pooled_z_against_statsmodels(cases):
    for kind in ("low", "all", "unbalanced", "tiny"):
        told = cases[f"prop_ztest_{kind}"]["outputs"]
        counts = counts_of(cases, f"prop_ztest_{kind}")
        assert proportions.score_z(counts) == pytest.approx(told["z_pooled"], rel=1e-10)
        assert proportions.score_p_value(counts) == pytest.approx(told["p_value"], rel=1e-10)


def test_newcombe_interval_against_statsmodels(cases):
    names = found(cases, "prop_ci_diff_newcomb")
    assert len(names) >= 5
    for name in names:
        told, bounds = cases[name]["outputs"], proportions.newcombe(counts_of(cases, name), 0.05)
        assert [bounds.low, bounds.high] == pytest.approx([told["lower"], told["upper"]], rel=1e-10)


def test_score_interval_of_the_ratio_against_statsmodels(cases):
    names = [n for n in found(cases, "prop_ci_ratio_score") if "zero" not in n]
    assert len(names) >= 4
    for name in names:
        told, bounds = cases[name]["outputs"], proportions.lift_interval(counts_of(cases, name), 0.05)
        assert [1 + bounds.low, 1 + bounds.high] == pytest.approx([told["lower"], told["upper"]], rel=1e-8)


@pytest.mark.parametrize("kind", ["zero_c", "all"])
def test_score_interval_of_the_difference_against_statsmodels_where_its_cubic_is_right(cases, kind):
    """Its coefficient of the linear term has events for units (statsmodels #10269): right only where they are one."""
    name = f"prop_ci_diff_score_{kind}"
    told, bounds = cases[name]["outputs"], proportions.difference_interval(counts_of(cases, name), 0.05)
    assert [bounds.low, bounds.high] == pytest.approx([told["lower"], told["upper"]], abs=1e-9)


def test_score_interval_of_the_difference_against_r_propcis():
    """diffscoreci(7, 34, 1, 34, 0.95), as statsmodels' own tests quote it."""
    bounds = proportions.difference_interval(Counts(1, 34, 7, 34), 0.05)
    assert [bounds.low, bounds.high] == pytest.approx([0.0270416, 0.3452912], abs=5e-8)


@pytest.mark.parametrize("kind", ["unbalanced", "large", "low150"])
def test_score_interval_of_the_difference_is_near_statsmodels_elsewhere(cases, kind):
    name = f"prop_ci_diff_score_{kind}"
    told, bounds = cases[name]["outputs"], proportions.difference_interval(counts_of(cases, name), 0.05)
    width = told["upper"] - told["lower"]
    assert [bounds.low, bounds.high] == pytest.approx([told["lower"], told["upper"]], abs=0.003 * width)


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_score_interval_holds_the_null_that_the_likelihood_finds(n_c, n_t, data):
    """At each bound the score, with the likelihood maximised by its own slope, is the critical value."""
    counts = Counts(data.draw(st.integers(0, n_c)), n_c, data.draw(st.integers(0, n_t)), n_t)
    if counts.none_or_all:
        return
    bounds = proportions.difference_interval(counts, 0.05)
    for delta in (bounds.low, bounds.high):
        if abs(delta) > 1 - 1e-6:
            continue
        p_c = _most_likely(counts, delta)
        p_t, n = p_c + delta, n_c + n_t
        variance = (p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c) * n / (n - 1)
        assert abs(counts.difference - delta) / math.sqrt(variance) == pytest.approx(1.959963984540054, rel=1e-5)


def _most_likely(counts, delta):
    def slope(p):
        gain = counts.x_t / (p + delta) + counts.x_c / p
        return gain - (counts.n_t - counts.x_t) / (1 - p - delta) - (counts.n_c - counts.x_c) / (1 - p)

    low, high = max(0.0, -delta), min(1.0, 1 - delta)
    first, last = low + 1e-13, high - 1e-13
    if slope(first) <= 0:
        return low
    return high if slope(last) >= 0 else brentq(slope, first, last, xtol=1e-16, rtol=1e-14)


def test_non_inferiority_is_near_statsmodels(cases):
    told = cases["noninferiority_prop_score"]["outputs"]["p_value"]
    assert proportions.non_inferiority_p_value(Counts(145, 1200, 166, 1180), -0.01) == pytest.approx(told, rel=2e-3)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_mid_p_counts_half_of_the_tables_as_likely(n_c, n_t, data):
    """Against the hypergeometric probabilities as rational numbers."""
    counts = Counts(data.draw(st.integers(0, n_c)), n_c, data.draw(st.integers(0, n_t)), n_t)
    events = counts.x_c + counts.x_t
    if counts.none_or_all:
        assert proportions.mid_p_value(counts) == 1.0
        return
    tables = {
        x: math.comb(n_t, x) * math.comb(n_c, events - x) for x in range(max(0, events - n_c), min(events, n_t) + 1)
    }
    here = tables[counts.x_t]
    weight = sum(w * (2 if w < here else 1) for w in tables.values() if w <= here)
    assert proportions.mid_p_value(counts) == pytest.approx(weight / (2 * sum(tables.values())), rel=1e-9)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.data())
def test_every_count_has_intervals_around_its_estimate(n_c, n_t, data):
    counts = Counts(data.draw(st.integers(0, n_c)), n_c, data.draw(st.integers(0, n_t)), n_t)
    swapped = Counts(counts.x_t, n_t, counts.x_c, n_c)
    bounds, mirror = (proportions.difference_interval(c, 0.05) for c in (counts, swapped))
    assert -1 <= bounds.low <= counts.difference <= bounds.high <= 1
    assert (bounds.low, bounds.high) == (-mirror.high, -mirror.low)
    ratio = proportions.lift_interval(counts, 0.05)
    if counts.x_c and counts.x_t:
        assert ratio.low <= counts.x_t * n_c / (counts.x_c * n_t) - 1 + 1e-12
        assert ratio.high >= counts.x_t * n_c / (counts.x_c * n_t) - 1 - 1e-12


def test_no_conversion_in_either_variant():
    counts = Counts(0, 1000, 0, 1000)
    bounds = proportions.difference_interval(counts, 0.05)
    assert (bounds.low, bounds.high) == (pytest.approx(-0.003826758485555125), pytest.approx(0.003826758485555125))
    assert proportions.mid_p_value(counts) == 1.0
    assert proportions.lift_interval(counts, 0.05).reason


def test_no_conversion_in_the_treatment_is_a_lift_down_to_minus_100_percent():
    bounds = proportions.lift_interval(Counts(12, 1000, 0, 1000), 0.05)
    assert bounds.low == -1.0
    assert -1 < bounds.high < 0


def test_no_conversion_in_the_control_has_no_upper_bound():
    bounds = proportions.lift_interval(Counts(0, 1000, 12, 1000), 0.05)
    assert bounds.low > 0
    assert bounds.high is None
    assert "no upper bound" in bounds.reason


def test_more_events_than_units_are_refused():
    with pytest.raises(Invalid):
        Counts(5, 4, 1, 4)


@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_relative_non_inferiority_comes_near_to_the_delta_method_where_counts_are_high(direction):
    from analysis import Metric, Moments, lift
    from analysis.proportions import relative_p_value

    counts = Counts(5_000, 50_000, 4_900, 50_000)
    sides = [Moments.from_aggregates(n, {"x": x}, {("x", "x"): x}) for x, n in ((5_000, 50_000), (4_900, 50_000))]
    estimates = lift.estimate(Metric("x", "proportion", "x"), sides)
    told = lift.non_inferiority(estimates, 1, 0.05, direction=direction).p_value
    assert abs(norm.isf(relative_p_value(counts, 0.05, direction)) - norm.isf(float(told))) < 0.05


@pytest.mark.parametrize("counts", [Counts(0, 50, 0, 50), Counts(0, 50, 3, 50), Counts(50, 50, 50, 50)])
def test_what_has_nothing_to_lose_is_not_shown_to_stay_within_a_margin(counts):
    from analysis.proportions import relative_p_value

    assert relative_p_value(counts, 0.1) == 1.0


def test_relative_non_inferiority_at_low_counts_errs_no_more_than_it_may():
    """A variant that is worse by exactly the margin, 12 buyers expected."""
    from analysis.proportions import relative_p_value

    rng = np.random.default_rng(20269)
    runs = 4_000
    x_c, x_t = rng.binomial(400, 0.03, runs), rng.binomial(400, 0.027, runs)
    called = [relative_p_value(Counts(int(a), 400, int(b), 400), 0.1) < 0.05 for a, b in zip(x_c, x_t, strict=True)]
    assert np.mean(called) < 0.05 + 5 * np.sqrt(0.05 * 0.95 / runs)
