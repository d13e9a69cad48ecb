import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis import Metric, Moments, lift
from analysis.fieller import fieller
from experiments.errors import NotEstimable

RPV = Metric("rpv", "mean", "revenue", covariates=("revenue_pre",))
AOV = Metric("aov", "ratio", "revenue", "orders", covariates=("revenue_pre", "orders_pre"))
CONVERSION = Metric("conversion", "proportion", "converted", covariates=("revenue_pre",))
close = lambda x: pytest.approx(x, rel=1e-10)  # noqa: E731 - reads as a word in the assertions


def test_mean_difference_against_gbstats_and_scipy_welch(cases, pair):
    told = cases["gb_mean_absolute"]
    found = lift.difference(lift.estimate(RPV, pair("gb_mean_absolute")), 1)
    assert float(found.estimate) == close(told["outputs"]["effect"])
    assert float(found.standard_error) == close(told["outputs"]["se"])
    assert float(found.degrees_of_freedom) == close(told["outputs"]["dof"])
    assert float(found.p_value) == close(told["outputs"]["p_value"])
    assert [float(found.low), float(found.high)] == close(told["outputs"]["ci"])


@pytest.mark.parametrize("side", ["greater", "less"])
def test_one_sided_mean_against_gbstats(side, cases, pair):
    told = cases[f"gb_mean_one_sided_{side}"]
    found = lift.difference(lift.estimate(RPV, pair(f"gb_mean_one_sided_{side}")), 1, alternative=side)
    assert float(found.p_value) == close(told["outputs"]["p_value"])
    ci = [float(b) for b in told["outputs"]["ci"]]
    assert [float(found.low), float(found.high)] == close(ci)


def test_mean_difference_against_r_welch(arms, cases):
    told = cases["r_welch"]["outputs"]
    found = lift.difference(lift.estimate(RPV, arms), 1)
    assert float(found.estimate / found.standard_error) == pytest.approx(told["t"], rel=1e-10)
    assert [float(found.low), float(found.high)] == pytest.approx(told["ci"], rel=1e-10)


@pytest.mark.parametrize("side", ["greater", "less"])
def test_ratio_difference_against_tea_tasting(side, cases, pair):
    told = cases[f"tt_ratio_{side}"]
    found = lift.difference(lift.estimate(AOV, pair(f"tt_ratio_{side}")), 1, alternative=side)
    assert float(found.estimate) == close(told["outputs"]["effect_size"])
    assert float(found.p_value) == close(told["outputs"]["pvalue"])


def test_ratio_standard_error_against_cluster_robust_regression(arms, cases):
    told = cases["aov_cluster_robust_ols"]["outputs"]
    found = lift.difference(lift.estimate(AOV, arms), 1)
    assert float(found.estimate) == close(told["effect"])
    # CR0 has no n / (n - 1)
    assert float(found.standard_error) == pytest.approx(told["se_cluster"], rel=1e-3)


@pytest.mark.parametrize(("case", "metric"), [("mean", RPV), ("ratio", AOV), ("proportion", CONVERSION)])
def test_values_variances_and_fieller_lifts_against_closed_forms(arms, case, metric, cases):
    told = cases[f"spec_multiarm_{case}"]["outputs"]
    estimates = lift.estimate(metric, arms)
    assert estimates.values == close(told["estimates"])
    assert np.diag(estimates.covariance) == close(told["var_of_estimates"])
    for i in (1, 2):
        assert lift.relative(estimates, i) == close(told["lift"][i - 1])
        bounds = lift.lift(estimates, i)
        assert [bounds.low, bounds.high] == close(told["fieller"][i - 1])


def test_cuped_with_one_slope_over_all_variants_against_closed_forms(arms, cases):
    told = cases["spec_cuped_converted"]["outputs"]
    estimates = lift.estimate(CONVERSION, arms, adjust=True)
    assert estimates.slope == close([told["theta"]])
    assert estimates.values == close(told["adjusted_means"])
    assert np.diag(estimates.covariance) == close(told["var_adjusted"])
    assert estimates.covariance[0, 1:] == close(told["cov_with_control"])
    for i in (1, 2):
        found = lift.difference(estimates, i)
        assert float(found.estimate) == close(told["effect"][i - 1])
        assert float(found.standard_error) == close(told["se"][i - 1])
        bounds = lift.lift(estimates, i)
        assert [bounds.low, bounds.high] == close(told["fieller"][i - 1])


@pytest.mark.parametrize("name", ["r_ancova_3arm", "r_ancova_2arm"])
def test_cuped_effect_against_r_ancova(arms, name, cases):
    told = cases[name]["outputs"]
    here = arms[: len(cases[name]["inputs"]["arms"])]
    estimates = lift.estimate(RPV, here, adjust=True)
    for i, (effect, error) in enumerate(
        zip(np.atleast_1d(told["effect"]), np.atleast_1d(told["se_HC2"]), strict=True), 1
    ):
        found = lift.difference(estimates, i)
        assert float(found.estimate) == pytest.approx(effect, rel=1e-10)
        # HC2 weighs by leverage, ours by each variant's own residual variance: the same to first order
        assert float(found.standard_error) == pytest.approx(error, rel=2e-3)


def test_cuped_with_two_covariates_against_statsmodels_ols(arms, cases):
    told = cases["ols_ancova_3arm_2cov_HC0"]["outputs"]
    metric = Metric("rpv", "mean", "revenue", covariates=("revenue_pre", "orders_pre"))
    estimates = lift.estimate(metric, arms, adjust=True)
    assert [float(lift.difference(estimates, i).estimate) for i in (1, 2)] == close(told["effects"])


def test_cuped_ratio_with_two_covariates_against_closed_forms(arms, cases):
    told = cases["spec_regadj_ratio_2cov"]["outputs"]
    estimates = lift.estimate(AOV, arms, adjust=True)
    assert estimates.slope == close(told["beta"])
    assert estimates.values == close(told["adjusted"])
    assert [float(lift.difference(estimates, i).standard_error) for i in (1, 2)] == close(told["se"])


def test_omnibus_against_closed_form(arms, cases):
    statistic, freedom = lift.omnibus(lift.estimate(AOV, arms))
    told = cases["spec_omnibus_ratio"]["outputs"]
    assert (statistic, freedom) == (close(told["Q"]), told["df"])


@pytest.mark.parametrize("name", ["fieller_0.1_0.01_0.5", "fieller_-2.0_0.04_-1.5", "lift_ci_prop"])
def test_fieller_against_mpmath(name, cases):
    given_, told = cases[name]["inputs"], cases[name]["outputs"]
    told = told.get("fieller", told)
    c, t = given_["control"], given_["treatment"]
    found = fieller(c["mean"], c["var_of_mean"], t["mean"], t["var_of_mean"], 0.0, given_["z"])
    assert (found.low is not None) == told["bounded"]
    if told["bounded"]:
        assert [found.low, found.high] == close([told["lower"], told["upper"]])
    else:
        assert found.reason


def test_relative_non_inferiority_needs_no_ratio(arms, cases):
    """The margin's test is exact: variance v_t + (1 - d)^2 v_c; taking control's mean as fixed comes close to it."""
    found = lift.non_inferiority(lift.estimate(RPV, arms), 1, 0.02)
    naive = cases["sc_nim_2pct_increase"]["outputs"]["rows"]["r"][0]["p-value"]
    assert float(found.p_value) == pytest.approx(naive, rel=0.05)
    own = lift.estimate(RPV, arms).own
    z = (9.813483050847458 - 0.98 * 8.1864) / math.sqrt(own[1] + 0.98**2 * own[0])
    assert float(found.p_value) == pytest.approx(stats.t.sf(z, float(found.degrees_of_freedom)), rel=1e-9)


def test_non_inferiority_of_a_metric_where_less_is_better(arms):
    up = lift.non_inferiority(lift.estimate(RPV, arms), 1, 0.5, direction="decrease")
    assert float(up.estimate) == pytest.approx(9.813483050847458 - 1.5 * 8.1864)
    assert 0 < float(up.p_value) < 0.5


amounts = st.lists(st.integers(500, 1500), min_size=3, max_size=30)


def moments(values, scale=1):
    return Moments.from_rows({"y": np.array(values) * scale})


Y = Metric("y", "mean", "y")


@given(amounts, amounts)
def test_fieller_excludes_zero_exactly_when_the_test_does(control, treatment):
    a, b = moments(control), moments(treatment)
    assume(a.cov[0, 0] > 0 and b.cov[0, 0] > 0 and a.mean[0] != 0)
    estimates = lift.estimate(Y, [a, b])
    bounds, test = lift.lift(estimates, 1), lift.difference(estimates, 1)
    assume(bounds.low is not None and abs(float(test.p_value) - 0.05) > 1e-9)
    assert (bounds.low * bounds.high > 0) == (test.p_value < 0.05)


@given(amounts, amounts)
def test_swapping_the_variants_turns_the_difference_round(control, treatment):
    a, b = moments(control), moments(treatment)
    assume(a.cov[0, 0] > 0 or b.cov[0, 0] > 0)
    one, other = lift.difference(lift.estimate(Y, [a, b]), 1), lift.difference(lift.estimate(Y, [b, a]), 1)
    assert (one.estimate, one.low, one.high) == (-other.estimate, -other.high, -other.low)
    assert one.p_value == other.p_value


@given(amounts, amounts)
def test_scaling_money_by_100_leaves_lift_and_p_value(control, treatment):
    a, b = moments(control), moments(treatment)
    assume(a.cov[0, 0] > 0 and b.cov[0, 0] > 0 and a.mean[0] != 0)
    one = lift.estimate(Y, [a, b])
    other = lift.estimate(Y, [moments(control, 100), moments(treatment, 100)])
    assert lift.relative(one, 1) == pytest.approx(lift.relative(other, 1), rel=1e-12, abs=1e-12)
    assert float(lift.difference(one, 1).p_value) == pytest.approx(float(lift.difference(other, 1).p_value), rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e3, 1e6, -1e9]))
def test_adding_a_constant_to_a_covariate_changes_nothing(seed, constant):
    rng = np.random.default_rng(seed)
    metric = Metric("y", "mean", "y", covariates=("x",))
    plain, moved = [], []
    for n in (40, 60):
        x = rng.normal(size=n)
        y = x + rng.normal(size=n)
        plain.append(Moments.from_rows({"y": y, "x": x}))
        moved.append(Moments.from_rows({"y": y, "x": x + constant}))
    one, other = (lift.estimate(metric, m, adjust=True) for m in (plain, moved))
    assert one.values == pytest.approx(other.values, abs=1e-5)
    assert one.own == pytest.approx(other.own, rel=1e-5)


def test_many_samples_at_once_are_each_of_them_alone():
    rng = np.random.default_rng(7)
    rows = rng.gamma(1.0, size=(5, 2, 80, 3))
    metric = Metric("r", "ratio", "a", "b", covariates=("c",))
    together = lift.difference(
        lift.estimate(metric, [Moments.from_arrays("abc", rows[:, i]) for i in range(2)], adjust=True), 1
    )
    for k in range(5):
        alone = [Moments.from_rows({c: rows[k, i, :, j] for j, c in enumerate("abc")}) for i in range(2)]
        found = lift.difference(lift.estimate(metric, alone, adjust=True), 1)
        assert together.estimate[k] == pytest.approx(float(found.estimate), rel=1e-9)
        assert together.p_value[k] == pytest.approx(float(found.p_value), rel=1e-9)


def test_no_orders_in_a_variant_has_no_order_value():
    none = Moments.from_rows({"revenue": np.zeros(5), "orders": np.zeros(5)})
    some = Moments.from_rows({"revenue": np.ones(5), "orders": np.ones(5)})
    with pytest.raises(NotEstimable, match="nothing to divide by"):
        lift.estimate(Metric("aov", "ratio", "revenue", "orders"), [some, none])


def test_negative_control_is_relative_to_its_absolute_value(cases):
    told = cases["gb_edge_negative_mean_control"]["outputs"]["freq_relative"]
    pair = [
        Moments.from_aggregates(1000, {"y": s}, {("y", "y"): q}) for s, q in ((-500, 25_000), (200, 24_000))
    ]  # fmt: skip
    estimates = lift.estimate(Y, pair)
    assert lift.relative(estimates, 1) == close(told["effect"])
    bounds = lift.lift(estimates, 1)
    assert bounds.low < told["effect"] < bounds.high
    assert "absolute value" in bounds.reason


def test_values_of_1e12_keep_their_digits():
    """The sums of squares have 27 digits and the variance 6: a double would be gone (0.2637 is Welch's p)."""
    rng = np.random.default_rng(3)
    control, treatment = (10**12 + rng.integers(-2000, 2000, 500) for _ in range(2))
    found = lift.difference(lift.estimate(Y, [moments(control), moments(treatment)]), 1)
    told = stats.ttest_ind(treatment - 10**12, control - 10**12, equal_var=False)
    assert float(found.p_value) == pytest.approx(told.pvalue, rel=1e-10)
