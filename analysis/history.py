"""A plan's baseline from what the shop has already measured."""

import math
from dataclasses import replace

from analysis import lift
from analysis.moments import Moments
from analysis.power import Baseline
from experiments.errors import NotEstimable
from experiments.metrics import Metric
from experiments.wording import worded


def baseline(metric: Metric, past: Moments) -> Baseline:
    """The metric's value and deviation per unit in past units, and the variance its covariates leave (CUPED).

    Raises NotEstimable for a quantile, too few units, or a metric that does not vary.
    """
    if metric.type == "quantile":
        raise NotEstimable(worded("quantiles are not planned: their variance is not in the sums"))
    plain = lift.estimate(metric, [past])
    units = float(past.n)
    value, variance = float(plain.values[0]), float(plain.own[0]) * units
    if not variance > 0:
        raise NotEstimable(worded("%(metric)s does not vary between past units", metric=metric.key))
    kept = 1.0
    if metric.covariates:
        # as a mean, so that both variances have the same degrees of freedom
        same = replace(metric, type="mean") if metric.type == "proportion" else metric
        before = float(lift.estimate(same, [past]).own[0])
        kept = min(1.0, max(float(lift.estimate(metric, [past], adjust=True).own[0]) / before, 1e-9))
    if metric.type == "proportion":
        return Baseline.of_proportion(value, kept)
    return Baseline(metric.type, value, math.sqrt(variance), kept)
