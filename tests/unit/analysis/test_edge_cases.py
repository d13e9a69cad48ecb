"""A right number or a reason, never NaN, never a warning: warnings are errors in this suite."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from analysis import Metric, analyze
from experiments.errors import Invalid

METRICS = (
    Metric("conversion", "proportion", "bought"),
    Metric("rpv", "mean", "money"),
    Metric("aov", "ratio", "money", "orders"),
    Metric("p90", "quantile", "money", quantile=0.9),
)


def report(control, treatment, metrics=METRICS, **options):
    """The report of two variants given as (bought, money, orders) columns, checked to be JSON without NaN."""
    columns = [np.concatenate([np.broadcast_to(a, n_c), np.broadcast_to(b, n_t)]) for (a, n_c), (b, n_t) in zip(
        _sized(control), _sized(treatment), strict=True)]  # fmt: skip
    n_c, n_t = _sized(control)[0][1], _sized(treatment)[0][1]
    table = pa.table(
        {"variant": ["a"] * n_c + ["b"] * n_t, "bought": columns[0], "money": columns[1], "orders": columns[2]}
    )
    found = analyze(table, metrics=metrics, control="a", **options)
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found)
    return found


def _sized(side):
    n = max(np.size(x) for x in side)
    return [(np.asarray(x), n) for x in side]


def test_all_values_the_same_is_exact_and_not_tested():
    found = report((np.ones(100), 5.0, 1), (np.ones(100), 6.0, 1), sequential=True)
    c = found["rpv"].comparison("b")
    assert (c.difference.estimate, c.lift.estimate) == (1.0, 0.2)
    assert (c.p_value, c.difference.low, c.chance_to_win, c.estimable) == (None, None, None, False)
    assert "zero variance" in c.reason


def test_one_constant_variant_is_answered():
    values = np.arange(100.0)
    c = report((np.zeros(100), 5.0, 1), (values % 2, values, 1))["rpv"].comparison("b")
    told = stats.ttest_1samp(values, 5.0)
    assert c.p_value == pytest.approx(told.pvalue, rel=1e-9)
    assert any("alike" in note for note in c.notes)


def test_nobody_converts():
    found = report((np.zeros(1000), 0.0, 0), (np.zeros(1000), 0.0, 0), sequential=True)
    c = found["conversion"].comparison("b")
    assert (c.difference.estimate, c.p_value) == (0.0, 1.0)
    assert c.difference.high == pytest.approx(0.003826758485555125)
    assert found["aov"].variant("b").value is None
    assert "nothing to divide by" in found["aov"].comparison("b").reason


def test_no_conversion_in_the_treatment():
    bought = (np.arange(1000) < 12).astype(int)
    c = report((bought, 10.0 * bought, bought), (np.zeros(1000), 0.0, 0))["conversion"].comparison("b")
    assert (c.method, c.lift.low) == ("mid-p", -1.0)
    assert -1 < c.lift.high < 0
    assert c.p_value == pytest.approx(0.00023617034873156027, rel=1e-9)


def test_one_visitor_each():
    found = report((np.zeros(1), 10.0, 1), (np.ones(1), 12.0, 1))
    assert found["conversion"].comparison("b").p_value == 0.5
    assert "single unit" in found["rpv"].comparison("b").reason
    assert found["rpv"].variant("a").value == 10.0


def test_refunds_beyond_revenue_keep_the_signs():
    n = np.arange(100)
    c = report((np.ones(100), -5.0 + n % 7, 1), (np.ones(100), 2.0 + n % 5, 1))["rpv"].comparison("b")
    assert c.difference.estimate > 0
    assert 0 < c.lift.low < c.lift.estimate < c.lift.high
    assert "absolute value" in c.lift.reason


def test_values_of_1e12_agree_with_welch_on_what_is_left():
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-1000, 1000, 500) for _ in range(2))
    c = report((np.ones(500), 1e12 + a, 1), (np.ones(500), 1e12 + b, 1))["rpv"].comparison("b")
    told = stats.ttest_ind(b, a, equal_var=False)
    assert c.p_value == pytest.approx(told.pvalue, rel=1e-10)
    assert c.difference.estimate == pytest.approx(b.mean() - a.mean(), rel=1e-12)


@pytest.mark.parametrize("metric", ["rpv", "aov"])
def test_means_of_1e8_with_deviation_1_agree_with_welch(metric):
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=500), rng.normal(size=500)
    c = report((np.ones(500), 1e8 + a, 1), (np.ones(500), 1e8 + b, 1))[metric].comparison("b")
    told = stats.ttest_ind((1e8 + b) - 1e8, (1e8 + a) - 1e8, equal_var=False)
    assert c.p_value == pytest.approx(told.pvalue, rel=1e-7)


def test_a_99_to_1_split_with_heavy_tails_carries_the_warning():
    rng = np.random.default_rng(5)
    money = [rng.lognormal(1, 1.5, n) for n in (9900, 100)]
    found = report(*((np.ones(len(m)), m, 1) for m in money), weights={"a": 99, "b": 1})
    told = stats.ttest_ind(money[1], money[0], equal_var=False)
    assert found["rpv"].comparison("b").p_value == pytest.approx(told.pvalue, rel=1e-9)
    assert {c.check: c.status for c in found.checks}["skew_rpv"] == "warn"


def test_a_z_of_61_is_certain_and_finite():
    rows = np.arange(10_000)
    found = report(
        ((rows < 100) * 1, (rows < 100) * 1.0, 1), ((rows < 5000) * 1, (rows < 5000) * 1.0, 1), sequential=True
    )
    assert found["rpv"].comparison("b").sequential.p_value == 0.0
    assert found.verdict.decision == "ship"


def test_squares_that_overflow_are_named():
    with pytest.raises(Invalid, match="money"):
        report((np.ones(3), 1e300 * np.arange(3), 1), (np.ones(3), 1e300 * np.arange(3), 1))


def test_control_that_cannot_be_told_from_zero_has_an_unbounded_lift():
    rng = np.random.default_rng(6)
    c = report((np.ones(100), rng.normal(size=100), 1), (np.ones(100), rng.normal(size=100), 1))["rpv"].comparison("b")
    assert (c.lift.low, c.lift.high) == (None, None)
    assert "cannot be told from 0" in c.lift.reason
    assert c.difference.low < c.difference.high


def test_a_control_alone_has_numbers_and_no_comparison():
    table = pa.table({"variant": ["a"] * 3, "bought": [0, 1, 1]})
    found = analyze(table, metrics=METRICS[:1], control="a")
    assert found["conversion"].variant("a").value == pytest.approx(2 / 3)
    assert found["conversion"].comparisons == ()
    json.dumps(found.to_dict(), allow_nan=False)


def test_order_value_of_twenty_buyers_at_twenty_is_twenty():
    """GrowthBook #6331's oracle: 100 people, 20 buyers at 20."""
    bought = (np.arange(100) < 20).astype(int)
    found = report((bought, 20.0 * bought, bought), (bought, 20.0 * bought, bought))
    assert found["aov"].variant("a").value == 20.0
    assert found["rpv"].variant("a").value == 4.0


@pytest.mark.parametrize("prices", [(33.33, 20.01), (0.1, 0.3), (1 / 3, 2 / 7)])
def test_orders_that_are_all_worth_the_same_have_no_variance_but_rounding(prices):
    orders = 1 + np.arange(50) % 3
    found = report(*((np.ones(50), price * orders, orders) for price in prices))
    c = found["aov"].comparison("b")
    assert (c.estimable, c.p_value) == (False, None)
    assert c.difference.estimate == pytest.approx(prices[1] - prices[0])
