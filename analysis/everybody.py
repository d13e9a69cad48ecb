"""All who asked, eligible or not: the reading that a test without counterfactual eligibility would give.

The Moments of who was eligible and of who was refused, by the variant that each had drawn, are added; every metric is
then read from the sums by the same estimators as the main result. Per eligible visitor it is Wald's ratio (Wald 1940;
Angrist, Imbens & Rubin 1996): the difference over all who asked divided by the share that was eligible, as whoever was
refused saw nothing. It estimates what the main result does, from noisier data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from analysis.analysis_plan import AnalysisPlan
from analysis.asked import AllVisitors, Asked, PerEligible
from analysis.moments import Moments
from analysis.reading import analyze_sample
from analysis.sample import Population, Sample
from experiments.errors import NotEstimable
from experiments.metrics import Metric

ByVariant = Mapping[str, Moments]


def all_visitors(
    eligible: Mapping[str, ByVariant],
    refused: Mapping[str, ByVariant],
    asked: Sequence[Asked],
    plan: AnalysisPlan,
    unread: Mapping[str, str],
) -> AllVisitors | None:
    """The reading of all who asked; None where nobody was refused. Both have the Moments by metric and variant."""
    total, let_in = sum(a.units for a in asked), sum(a.eligible for a in asked)
    metrics = tuple(m for m in plan.metrics if m.key in eligible)
    if total == let_in:
        return None
    share = let_in / total
    if not metrics:
        return AllVisitors(share, tuple(asked), (), (), unread)
    together = {m.key: {v: eligible[m.key][v] + refused[m.key][v] for v in eligible[m.key]} for m in metrics}
    units = {a.variant: a.units for a in asked}
    keys = {m.key for m in metrics}
    once = replace(
        plan,
        metrics=metrics,
        roles={key: role for key, role in plan.roles.items() if key in keys},
        margins={key: margin for key, margin in plan.margins.items() if key in keys},
        sequential=False,
        correction="none",
    )
    found = analyze_sample(Sample(units, {m.key: Population(together[m.key]) for m in metrics}), once)
    wald = [
        _per_eligible(m, v, plan, eligible[m.key], together[m.key])
        for m in metrics
        if m.type in {"proportion", "mean"}
        for v in together[m.key]
        if v != plan.control
    ]
    return AllVisitors(share, tuple(asked), tuple(m.to_dict() for m in found.metrics), tuple(wald), unread)


def _per_eligible(
    metric: Metric, variant: str, plan: AnalysisPlan, eligible: ByVariant, together: ByVariant
) -> PerEligible:
    """D / s, with D the difference of the means over all who asked, s the pooled share that was eligible.

    By the delta method Var(D / s) = (Var D - 2 (D/s) Cov(D, s) + (D/s)^2 Var s) / s^2. A unit's y and its being
    eligible e are known from the sums alone: the sum of y e is the sum of y over the eligible.
    """
    try:
        arms = [_arm(metric.numerator, eligible[v], together[v]) for v in (plan.control, variant)]
    except NotEstimable as refusal:
        return PerEligible(metric.key, variant, None, None, None, None, refusal.message)
    n = np.array([arm[0] for arm in arms])
    mean, share, variance, cross = (np.array([arm[i] for arm in arms]) for i in range(1, 5))
    pooled = float(n @ share / n.sum())
    if pooled == 0:
        return PerEligible(metric.key, variant, None, None, None, None, "nobody was eligible")
    difference = float(mean[1] - mean[0])
    estimate = difference / pooled
    weight = n / n.sum()
    spread = share * (1 - share) * n / (n - 1)
    var_d, var_s = float(np.sum(variance / n)), float(np.sum(weight**2 * spread / n))
    cov = float(weight[1] * cross[1] / n[1] - weight[0] * cross[0] / n[0])
    error = float(np.sqrt(max(var_d - 2 * estimate * cov + estimate**2 * var_s, 0.0))) / pooled
    z = float(ndtri(1 - plan.alpha / 2))
    return PerEligible(metric.key, variant, estimate, error, estimate - z * error, estimate + z * error)


def _arm(column: str, eligible: Moments, together: Moments) -> tuple[float, float, float, float, float]:
    """Units, mean of y, share eligible, variance of y, covariance of y and being eligible."""
    m = together.restrict([column])
    if m.n < 2:
        raise NotEstimable("fewer than two units")
    n, mean, share = float(m.n), float(m.mean[0]), float(eligible.n) / float(m.n)
    inside = float(eligible.restrict([column]).total[0]) if eligible.n else 0.0
    return n, mean, share, float(m.cov[0, 0]), (inside / n - mean * share) * n / (n - 1)
