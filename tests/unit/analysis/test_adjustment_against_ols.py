"""CUPED and post-stratification against regressions of the rows, on data of our own."""

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm

from analysis import Metric, Moments, analyze, lift, segments

SIZES = (400, 350, 300)
NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def rows():
    """Outcome, denominator and three covariates of three variants; the third covariate tells nothing."""
    rng = np.random.default_rng(5)
    out = []
    for variant, units in enumerate(SIZES):
        x = rng.gamma(2, 1, (units, 3))
        orders = rng.poisson(1 + x[:, 0] / 3) + 0.0
        out.append((orders * rng.gamma(3, 2, units) + x @ [1, 0.5, 0] + 0.3 * variant, orders, x))
    return out


def of(rows):
    return [Moments.from_rows({"y": y, "n": n, **dict(zip(NAMES, x.T, strict=True))}) for y, n, x in rows]


def regression(outcomes, rows):
    """Ordinary least squares on dummies of the variants and centred covariates, with a robust covariance."""
    x = np.concatenate([covariates for _, _, covariates in rows])
    variant = np.repeat(np.arange(3), SIZES)
    design = np.column_stack([variant == 1, variant == 2, np.ones(len(x)), x - x.mean(axis=0)]).astype(float)
    return sm.OLS(np.concatenate(outcomes), design).fit(cov_type="HC1")


@pytest.mark.parametrize("metric", [
    Metric("mean", "mean", "y", covariates=NAMES), Metric("ratio", "ratio", "y", "n", covariates=NAMES),
], ids=lambda m: m.key)  # fmt: skip
def test_cuped_with_three_covariates_is_the_regression_of_the_linearised_metric(rows, metric):
    outcomes = [y if metric.denominator is None else y.mean() / n.mean() + (y - y.mean() / n.mean() * n) / n.mean()
                for y, n, _ in rows]  # fmt: skip
    told = regression(outcomes, rows)
    estimates = lift.estimate(metric, of(rows), adjust=True)
    for variant in (1, 2):
        found = lift.difference(estimates, variant)
        assert found.estimate == pytest.approx(told.params[variant - 1], rel=1e-9)
        assert found.standard_error == pytest.approx(told.bse[variant - 1], rel=0.02)


def test_covariates_that_tell_nothing_of_the_metric_are_refused():
    rng = np.random.default_rng(8)
    table = pa.table({"variant": ["a", "b"] * 500, "y": rng.normal(size=1000), "x": rng.permutation(np.arange(1000.0))})
    found = {
        seed: analyze(
            table.set_column(2, "x", pa.array(np.random.default_rng(seed).normal(size=1000))),
            metrics=[Metric("y", "mean", "y", covariates=("x",))], control="a",
        )["y"].comparison("b").cuped
        for seed in range(20)
    }  # fmt: skip
    for cuped in found.values():
        if cuped.reason is None:
            assert 0 < cuped.variance_reduction < 0.02
        else:
            assert cuped.difference.estimate is None
    assert any(cuped.reason for cuped in found.values())


def test_post_stratification_is_lin_s_regression_on_dummies_of_the_strata():
    """Lin 2013: fully interacted with centred strata; the point estimate is the same to the last digits."""
    rng = np.random.default_rng(6)
    strata, cells = rng.integers(0, 3, 900), {}
    variant = rng.integers(0, 2, 900)
    y = strata * 2.0 + variant * (0.3 + 0.2 * strata) + rng.normal(size=900) * (1 + variant)
    for level in range(3):
        cells[str(level)] = [Moments.from_rows({"y": y[(strata == level) & (variant == arm)]}) for arm in (0, 1)]
    dummies = np.stack([strata == 1, strata == 2], axis=-1) - [(strata == 1).mean(), (strata == 2).mean()]
    design = np.column_stack([variant, np.ones(900), dummies, dummies * variant[:, None]])
    told = sm.OLS(y, design).fit(cov_type="HC2")
    found = lift.difference(segments.post_stratify(Metric("y", "mean", "y"), cells), 1)
    assert found.estimate == pytest.approx(told.params[0], rel=1e-9)
    assert found.standard_error == pytest.approx(told.bse[0], rel=1e-9)
