"""CUPED: every variant adjusted by what was measured before exposure, or the reason why not."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from analysis import lift
from analysis.analysis_plan import AnalysisPlan
from analysis.comparison import effect_of
from analysis.moments import Moments
from analysis.report import NOTHING, Adjusted, Effect
from experiments.errors import NotEstimable
from experiments.metrics import Metric


def adjust(
    metric: Metric,
    moments: Mapping[str, Moments],
    plan: AnalysisPlan,
    order: Sequence[str],
    unlike: Collection[str] = (),
) -> dict[str, Adjusted]:
    """CUPED over all variants that can be estimated, so that a variant's number is one number.

    Refused for a covariate in `unlike`: adjusting for what the offer moved would take away its effect.
    """
    treatments = [v for v in order if v != plan.control]
    if not metric.covariates or plan.control not in moments:
        return {}
    moved = [c for c in metric.covariates if c in unlike]
    if moved:
        return {
            v: _refused(f"{', '.join(moved)} differs between variants, so it was not set before exposure")
            for v in treatments
        }
    fit = []
    for variant in order:
        try:
            lift.estimate(metric, [moments[variant]])
            if moments[variant].n > len(metric.covariates) + 1:
                fit.append(variant)
        except NotEstimable:
            continue
    if plan.control not in fit or len(fit) < 2:
        return {v: _refused("too few units to adjust") for v in treatments}
    samples = [moments[v] for v in fit]
    plain = lift.estimate(replace(metric, type="mean") if metric.type == "proportion" else metric, samples)
    adjusted = lift.estimate(metric, samples, adjust=True)
    if adjusted.slope is None or not any(float(s) for s in adjusted.slope):
        return {v: _refused("the covariates do not vary, or say nothing of the metric") for v in treatments}
    return {
        v: _adjusted(fit, i, plain, adjusted, metric, plan) if (i := fit.index(v) if v in fit else 0)
        else _refused("too few units to adjust")
        for v in treatments
    }  # fmt: skip


def _adjusted(
    fit: Sequence[str], treatment: int, plain: lift.Estimates, adjusted: lift.Estimates, metric: Metric,
    plan: AnalysisPlan,
) -> Adjusted:  # fmt: skip
    before = lift.difference(plain, treatment, alpha=plan.alpha)
    after = lift.difference(adjusted, treatment, alpha=plan.alpha)
    if not (float(before.standard_error) > 0 and float(after.standard_error) > 0):
        return _refused("zero variance")
    if float(after.standard_error) >= float(before.standard_error):
        return _refused("the covariates take nothing off the variance of this comparison")
    reduction = 1 - (float(after.standard_error) / float(before.standard_error)) ** 2
    bounds = lift.lift(adjusted, treatment, alpha=plan.alpha)
    point = None if adjusted.values[0] == 0 else lift.relative(adjusted, treatment)
    assert adjusted.slope is not None
    return Adjusted(
        reduction, effect_of(after), Effect(point, bounds.low, bounds.high, None, bounds.reason), float(after.p_value),
        dict(zip(fit, map(float, adjusted.values), strict=True)),
        dict(zip(metric.covariates, map(float, adjusted.slope), strict=True)),
    )  # fmt: skip


def _refused(reason: str) -> Adjusted:
    return Adjusted(None, NOTHING, NOTHING, None, {}, {}, reason)
