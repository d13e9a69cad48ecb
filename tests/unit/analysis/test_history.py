import math

import numpy as np
import pytest

from analysis.history import baseline
from analysis.moments import Moments
from analysis.power import Baseline
from analysis.shoppers import Shop, draw
from experiments.errors import NotEstimable
from experiments.metrics import Metric

PAST = draw(Shop(loyalty_shape=1.0), np.random.default_rng(8), 40_000)
MOMENTS = Moments.from_rows(PAST)


def test_a_mean_a_ratio_and_a_proportion_are_planned_from_the_past():
    revenue, orders = PAST["revenue"], PAST["orders"]
    mean = baseline(Metric("rpv", "mean", "revenue"), MOMENTS)
    assert (mean.value, mean.standard_deviation) == pytest.approx((revenue.mean(), revenue.std(ddof=1)), rel=1e-9)
    ratio = baseline(Metric("aov", "ratio", "revenue", "orders"), MOMENTS)
    covariance = np.cov(revenue, orders)
    told = Baseline.of_ratio(revenue.mean(), orders.mean(), (covariance[0, 0], covariance[1, 1], covariance[0, 1]))
    assert ratio.value == pytest.approx(told.value, rel=1e-9)
    assert ratio.standard_deviation == pytest.approx(told.standard_deviation, rel=1e-9)
    rate = PAST["converted"].mean()
    proportion = baseline(Metric("conversion", "proportion", "converted"), MOMENTS)
    assert (proportion.metric, proportion.value) == ("proportion", pytest.approx(rate))


def test_covariates_leave_what_a_regression_leaves():
    metric = Metric("orders", "mean", "orders", covariates=("orders_before", "revenue_before"))
    design = np.column_stack([np.ones(40_000), PAST["orders_before"], PAST["revenue_before"]])
    fitted = design @ np.linalg.lstsq(design, PAST["orders"], rcond=None)[0]
    left = np.var(PAST["orders"] - fitted) / np.var(PAST["orders"])
    assert baseline(metric, MOMENTS).residual_share == pytest.approx(left, rel=1e-3)
    assert 0.9 < left < 1


def test_what_cannot_be_planned_says_so():
    flat = Moments.from_rows({"x": np.ones(10), "y": np.zeros(10)})
    for metric in (
        Metric("x", "mean", "x"),
        Metric("y", "proportion", "y"),
        Metric("q", "quantile", "x", quantile=0.5),
    ):
        with pytest.raises(NotEstimable):
            baseline(metric, flat)
    assert math.isfinite(baseline(Metric("rpv", "mean", "revenue"), MOMENTS).standard_deviation)
